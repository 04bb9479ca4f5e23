// Weights that are made at load from others.
#pragma once

#include <cstddef>
#include <memory>

#include "tensor/tensor_view.h"

namespace vortex {

/// A tensor together with its memory.
struct OwnedTensor {
  TensorView view;
  std::unique_ptr<std::byte[]> memory;
};

/// The transpose of a matrix. float32, float16 and bfloat16 keep their type; quantised types become float16, which
/// holds a block's values to within 2^-11.
OwnedTensor transpose(const TensorView& matrix);

}  // namespace vortex
