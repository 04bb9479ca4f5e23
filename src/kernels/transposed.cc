#include "kernels/transposed.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "kernels/weight_check.h"
#include "tensor/half.h"
#include "tensor/quant_blocks.h"

namespace vortex::kernels {
namespace {

constexpr int64_t kRowBlock = 16;  // source rows at a time: a cache line of each result row is written whole

/// Which columns of a matrix become rows.
struct Columns {
  int64_t first, step, count;
};

/// `row(r)` points to row r of the source, at any alignment, until it is called for r + kRowBlock.
template <class Element, class Row>
void transpose(int64_t rows, const Columns& columns, Row row, std::byte* out) {
  constexpr auto kSize = static_cast<int64_t>(sizeof(Element));
  const std::byte* sources[kRowBlock];
  for (int64_t begin = 0; begin < rows; begin += kRowBlock) {
    const int64_t count = std::min(kRowBlock, rows - begin);
    for (int64_t i = 0; i < count; ++i) sources[i] = row(begin + i);
    for (int64_t c = 0; c < columns.count; ++c) {
      Element line[kRowBlock];
      for (int64_t i = 0; i < count; ++i)
        std::memcpy(&line[i], sources[i] + (columns.first + c * columns.step) * kSize, sizeof(Element));
      std::memcpy(out + (c * rows + begin) * kSize, line, static_cast<size_t>(count * kSize));
    }
  }
}

template <class Element>
void transpose_floats(const TensorView& matrix, const Columns& columns, std::byte* out) {
  const int64_t row_bytes = dtype_bytes(matrix.dtype, matrix.cols());
  transpose<Element>(
      matrix.rows(), columns, [&](int64_t r) { return matrix.data + r * row_bytes; }, out);
}

void transpose_blocks(const TensorView& matrix, const Columns& columns, std::byte* out) {
  const int64_t cols = matrix.cols(), row_bytes = dtype_bytes(matrix.dtype, cols);
  std::vector<float> decoded(static_cast<size_t>(cols));
  std::vector<uint16_t> halves(static_cast<size_t>(kRowBlock * cols));
  const auto row = [&](int64_t r) {
    dequantize(matrix.dtype, matrix.data + r * row_bytes, decoded.data(), cols);
    uint16_t* slot = halves.data() + r % kRowBlock * cols;
    std::transform(decoded.begin(), decoded.end(), slot, f32_to_f16);
    return reinterpret_cast<const std::byte*>(slot);
  };
  transpose<uint16_t>(matrix.rows(), columns, row, out);
}

}  // namespace

Result<OwnedTensor> transposed(const TensorView& matrix, int64_t first, int64_t step) {
  VORTEX_RETURN_IF_ERROR(check_weight(matrix));
  VORTEX_CHECK(first >= 0 && first < matrix.cols() && step > 0, "columns from {} by {}", first, step);
  const Columns columns{first, step, (matrix.cols() - first + step - 1) / step};
  const DType dtype = is_quantized(matrix.dtype) ? DType::kF16 : matrix.dtype;
  OwnedTensor result = OwnedTensor::make(dtype, {columns.count, matrix.rows()});
  if (is_quantized(matrix.dtype))
    transpose_blocks(matrix, columns, result.memory.get());
  else if (matrix.dtype == DType::kF32)
    transpose_floats<uint32_t>(matrix, columns, result.memory.get());
  else
    transpose_floats<uint16_t>(matrix, columns, result.memory.get());
  return result;
}

}  // namespace vortex::kernels
