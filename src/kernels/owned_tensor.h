// A tensor that was made at load, and the memory it lies in: what DenseOps::prepare_owned takes.
#pragma once

#include <cstddef>
#include <memory>

#include "tensor/tensor_view.h"

namespace vortex::kernels {

struct OwnedTensor {
  std::unique_ptr<std::byte[]> memory;
  TensorView view;

  /// Memory for a tensor, not initialised.
  static OwnedTensor make(DType dtype, const Shape& shape) {
    OwnedTensor made{nullptr, {nullptr, dtype, shape}};
    made.memory = std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(made.view.bytes()));
    made.view.data = made.memory.get();
    return made;
  }
};

}  // namespace vortex::kernels
