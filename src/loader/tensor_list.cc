#include "loader/tensor_list.h"

namespace vortex {

std::optional<int64_t> checked_tensor_bytes(DType dtype, const Shape& shape) {
  const DTypeInfo& info = dtype_info(dtype);
  int64_t elements = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (__builtin_mul_overflow(elements, shape[i], &elements)) return std::nullopt;
  }
  const int64_t row = shape.rank() == 0 ? 1 : shape[shape.rank() - 1];
  if (row % info.block_elements != 0) return std::nullopt;
  int64_t bytes = 0;
  if (__builtin_mul_overflow(elements / info.block_elements, int64_t{info.block_bytes}, &bytes)) return std::nullopt;
  return bytes;
}

}  // namespace vortex
