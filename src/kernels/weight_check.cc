#include "kernels/weight_check.h"

#include <fmt/core.h>

namespace vortex::kernels {
namespace {

bool is_float(DType dtype) { return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16; }

}  // namespace

Status check_weight(const TensorView& weight) {
  const DTypeInfo& info = dtype_info(weight.dtype);
  if (!is_float(weight.dtype) && !is_quantized(weight.dtype))
    return Error{ErrorCode::kUnsupported, "", fmt::format("no matrix product for weights of type {}", info.name),
                 "use float32, float16, bfloat16, q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q5_k or q6_k"};
  const bool is_matrix = weight.shape.rank() == 2 && weight.shape.elements() > 0 && weight.data != nullptr;
  if (!is_matrix)
    return Error{ErrorCode::kDataLoss, "",
                 fmt::format("a weight of shape {} is not a matrix", weight.shape.to_string()), "check the file"};
  if (weight.cols() % info.block_elements != 0)
    return Error{ErrorCode::kDataLoss, "",
                 fmt::format("{} columns are not a multiple of the {} elements of a {} block", weight.cols(),
                             info.block_elements, info.name),
                 "check the file"};
  return {};
}

}  // namespace vortex::kernels
