#include "tensor/transpose.h"

#include <cstring>
#include <vector>

#include "tensor/half.h"
#include "tensor/quant_blocks.h"

namespace vortex {
namespace {

void store_as(DType dtype, float value, std::byte* out) {
  if (dtype == DType::kF32) {
    std::memcpy(out, &value, sizeof value);
    return;
  }
  const uint16_t bits = dtype == DType::kBF16 ? f32_to_bf16(value) : f32_to_f16(value);
  std::memcpy(out, &bits, sizeof bits);
}

}  // namespace

OwnedTensor transpose(const TensorView& matrix) {
  const int64_t rows = matrix.rows(), cols = matrix.cols();
  const bool kept = matrix.dtype == DType::kF32 || matrix.dtype == DType::kBF16;
  const DType dtype = kept ? matrix.dtype : DType::kF16;
  OwnedTensor out;
  out.memory = std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(dtype_bytes(dtype, rows * cols)));
  out.view = {out.memory.get(), dtype, Shape{cols, rows}};
  std::vector<float> row(static_cast<size_t>(cols));
  for (int64_t r = 0; r < rows; ++r) {
    dequantize(matrix.dtype, matrix.data + r * dtype_bytes(matrix.dtype, cols), row.data(), cols);
    for (int64_t c = 0; c < cols; ++c)
      store_as(dtype, row[static_cast<size_t>(c)], out.memory.get() + dtype_bytes(dtype, c * rows + r));
  }
  return out;
}

}  // namespace vortex
