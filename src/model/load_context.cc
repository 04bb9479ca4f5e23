#include "kernels/transposed.h"
#include "model/layers.h"
#include "tensor/quant_blocks.h"

namespace vortex::model {
namespace {

Result<std::unique_ptr<kernels::Matrix>> named(Result<std::unique_ptr<kernels::Matrix>> matrix,
                                               const std::string& name) {
  if (matrix.ok()) return matrix;
  Error error = matrix.error();
  error.where = name;
  return error;
}

}  // namespace

Result<std::vector<float>> LoadContext::vector(const std::string& name, int64_t n) const {
  VORTEX_ASSIGN_OR_RETURN(const TensorView view, weights->take(name, Shape{n}));
  std::vector<float> out(static_cast<size_t>(n));
  dequantize(view.dtype, view.data, out.data(), n);
  return out;
}

Result<std::vector<float>> LoadContext::norm(const std::string& name, int64_t n) const {
  VORTEX_ASSIGN_OR_RETURN(std::vector<float> weight, vector(name, n));
  if (config->norm_plus_one)
    for (float& w : weight) w += 1.0f;
  return weight;
}

Result<std::unique_ptr<kernels::Matrix>> LoadContext::matrix(const std::string& name, int64_t rows,
                                                             int64_t cols) const {
  VORTEX_ASSIGN_OR_RETURN(const TensorView view, weights->take(name, Shape{rows, cols}));
  return prepared(name, view);
}

Result<std::unique_ptr<kernels::Matrix>> LoadContext::prepared(const std::string& name, const TensorView& part) const {
  return named(backend.dense->prepare(part), name);
}

Result<std::unique_ptr<kernels::Matrix>> LoadContext::transposed(const std::string& name,
                                                                 const TensorView& part) const {
  VORTEX_ASSIGN_OR_RETURN(kernels::OwnedTensor made, kernels::transposed(part));
  return named(backend.dense->prepare_owned(made.view, std::move(made.memory)), name);
}

TensorView row_range(const TensorView& matrix, int64_t first, int64_t count) {
  return {matrix.data + first * dtype_bytes(matrix.dtype, matrix.cols()), matrix.dtype, Shape{count, matrix.cols()}};
}

TensorView matrix_at(const TensorView& stack, int64_t index) {
  const int64_t rows = stack.shape[1], cols = stack.shape[2];
  return {stack.data + index * dtype_bytes(stack.dtype, rows * cols), stack.dtype, Shape{rows, cols}};
}

kernels::Gating gating_of(Activation activation) {
  switch (activation) {
    case Activation::kSilu:
      break;
    case Activation::kGeluTanh:
      return kernels::Gating::kGeluTanh;
    case Activation::kClampedSwiglu:
      return kernels::Gating::kClampedSwiglu;
  }
  return kernels::Gating::kSilu;
}

}  // namespace vortex::model
