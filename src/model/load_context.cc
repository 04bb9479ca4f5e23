#include "model/layers.h"
#include "tensor/quant_blocks.h"

namespace vortex::model {

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
  auto matrix = backend.dense->prepare(view);
  if (!matrix.ok()) {
    Error error = matrix.error();
    error.where = name;
    return error;
  }
  return matrix;
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
