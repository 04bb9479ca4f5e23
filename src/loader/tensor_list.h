// What a model file holds: tensors by the name the file gives them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tensor/tensor_view.h"

namespace vortex {

/// The view points into the mapped file: no alignment is promised beyond what the format gives.
struct NamedTensor {
  std::string name;
  TensorView view;
};

/// Bytes `elements` of `dtype` take, or nothing when the count is no multiple of the block or does not fit int64.
std::optional<int64_t> checked_tensor_bytes(DType dtype, const Shape& shape);

}  // namespace vortex
