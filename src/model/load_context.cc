#include "kernels/transposed.h"
#include "model/layers.h"
#include "model/weight_quantizer.h"
#include "tensor/quant_blocks.h"

namespace vortex::model {
namespace {

using MatrixResult = Result<std::unique_ptr<kernels::Matrix>>;

MatrixResult named(MatrixResult matrix, const std::string& name) {
  if (matrix.ok()) return matrix;
  Error error = matrix.error();
  error.where = name;
  return error;
}

using Blocks = Result<std::optional<kernels::OwnedTensor>>;

/// `weight` in blocks where that is wanted and its rows can be; else nothing.
Blocks in_blocks(const LoadContext& context, const TensorView& weight, MatrixRole role) {
  if (context.quantizer == nullptr) return std::optional<kernels::OwnedTensor>();
  return context.quantizer->quantized(weight, role);
}

/// `memory` holds the weight, or is null where the file does.
MatrixResult prepare(const LoadContext& context, const TensorView& weight, std::unique_ptr<std::byte[]> memory,
                     MatrixRole role) {
  VORTEX_ASSIGN_OR_RETURN(auto blocks, in_blocks(context, weight, role));
  if (!blocks && memory) return context.backend.dense->prepare_owned(weight, std::move(memory));
  if (!blocks) return context.backend.dense->prepare(weight);
  return context.backend.dense->prepare_owned(blocks->view, std::move(blocks->memory));
}

MatrixResult transpose(const LoadContext& context, const TensorView& weight) {
  VORTEX_ASSIGN_OR_RETURN(const auto blocks, in_blocks(context, weight, MatrixRole::kSecondForm));
  VORTEX_ASSIGN_OR_RETURN(kernels::OwnedTensor made, kernels::transposed(blocks ? blocks->view : weight));
  return context.backend.dense->prepare_owned(made.view, std::move(made.memory));
}

MatrixResult take_columns(const LoadContext& context, const TensorView& weight, int64_t first, int64_t step) {
  VORTEX_ASSIGN_OR_RETURN(kernels::OwnedTensor made, kernels::transposed(weight, first, step));
  VORTEX_ASSIGN_OR_RETURN(auto blocks, in_blocks(context, made.view, MatrixRole::kLayer));
  if (blocks) made = std::move(*blocks);
  return context.backend.dense->prepare_owned(made.view, std::move(made.memory));
}

/// A whole weight. Once its quantised copy is there, nobody reads the original.
MatrixResult take_matrix(const LoadContext& context, const std::string& name, const Shape& shape, MatrixRole role) {
  VORTEX_ASSIGN_OR_RETURN(const TensorView view, context.weights->take(name, shape));
  std::unique_ptr<std::byte[]> copied = context.weights->hand_over(name);
  MatrixResult matrix = named(prepare(context, view, std::move(copied), role), name);
  if (matrix.ok() && (*matrix)->source().dtype != view.dtype) context.weights->release(name);
  return matrix;
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

MatrixResult LoadContext::matrix(const std::string& name, int64_t rows, int64_t cols) const {
  return take_matrix(*this, name, Shape{rows, cols}, MatrixRole::kLayer);
}

MatrixResult LoadContext::head(const std::string& name, int64_t rows, int64_t cols) const {
  return take_matrix(*this, name, Shape{rows, cols}, MatrixRole::kHead);
}

MatrixResult LoadContext::prepared(const std::string& name, const TensorView& part) const {
  return named(prepare(*this, part, nullptr, MatrixRole::kLayer), name);
}

MatrixResult LoadContext::as_stored(const std::string& name, const TensorView& part) const {
  return named(backend.dense->prepare(part), name);
}

MatrixResult LoadContext::transposed(const std::string& name, const TensorView& part) const {
  return named(transpose(*this, part), name);
}

MatrixResult LoadContext::columns(const std::string& name, const TensorView& part, int64_t first, int64_t step) const {
  return named(take_columns(*this, part, first, step), name);
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
