#include "model/weight_quantizer.h"

#include "base/log.h"
#include "kernels/quantized.h"

namespace vortex::model {
namespace {

Error quantized_already(DType stored, DType wanted) {
  return {ErrorCode::kConfiguration, "",
          fmt::format("--quantize {}: the weight is stored as {} already", dtype_info(wanted).name,
                      dtype_info(stored).name),
          "leave --quantize out"};
}

double megabytes(int64_t bytes) { return static_cast<double>(bytes) / 1e6; }

}  // namespace

DType WeightQuantizer::type_of(MatrixRole role) const {
  return role == MatrixRole::kHead ? DType::kQ8_0 : wanted_.type;
}

Result<std::optional<kernels::OwnedTensor>> WeightQuantizer::quantized(const TensorView& weight, MatrixRole role) {
  const DType to = type_of(role);
  const bool counted = role != MatrixRole::kSecondForm;
  if (is_quantized(weight.dtype)) return quantized_already(weight.dtype, wanted_.type);
  if (weight.cols() % dtype_info(to).block_elements != 0) {
    if (counted) left_.add(weight);
    return std::optional<kernels::OwnedTensor>();
  }
  VORTEX_ASSIGN_OR_RETURN(kernels::OwnedTensor made, kernels::quantized(weight, to, wanted_.pool));
  if (counted) before_.add(weight), after_.add(made.view);
  return std::optional<kernels::OwnedTensor>(std::move(made));
}

void WeightQuantizer::log_summary(const std::string& model) const {
  log_info("{}: {} matrices of {:.1f} MB quantised to {} (output head {}): {:.1f} MB", model, before_.matrices,
           megabytes(before_.bytes), dtype_info(type_of(MatrixRole::kLayer)).name,
           dtype_info(type_of(MatrixRole::kHead)).name, megabytes(after_.bytes));
  if (left_.matrices > 0)
    log_warn("{}: {} matrices of {:.1f} MB stay as stored: their rows are no multiple of 32", model, left_.matrices,
             megabytes(left_.bytes));
}

}  // namespace vortex::model
