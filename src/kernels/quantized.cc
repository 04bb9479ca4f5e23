#include "kernels/quantized.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <vector>

#include "base/check.h"
#include "kernels/weight_check.h"
#include "tensor/half.h"
#include "tensor/quant_blocks.h"

namespace vortex::kernels {
namespace {

constexpr int kBlock = 32;
constexpr int64_t kNoRow = std::numeric_limits<int64_t>::max();
// Added to a float below 2^22, leaves the nearest integer (ties to even) in the low bits.
constexpr float kRounder = 0x1.8p23f;
constexpr int32_t kRounderBits = 0x4b400000;

/// Bits of the largest magnitude: magnitudes order as integers as they do as floats, NaN above all.
int32_t largest_magnitude(const float* x) {
  int32_t largest = 0;
  for (int i = 0; i < kBlock; ++i) largest = std::max(largest, std::bit_cast<int32_t>(x[i]) & 0x7fffffff);
  return largest;
}

/// The first of the values with that magnitude.
float first_of_magnitude(const float* x, int32_t magnitude) {
  return *std::find_if(x, x + kBlock, [&](float v) { return (std::bit_cast<int32_t>(v) & 0x7fffffff) == magnitude; });
}

bool is_finite(uint16_t half) { return (half & 0x7c00u) != 0x7c00u; }

/// 1 / d, or 0 where the scale that is stored is 0.
float inverse_of(float d, uint16_t stored) { return (stored & 0x7fffu) == 0 ? 0.0f : 1.0f / d; }

// Each overload fills one block, or says that no finite scale fits.
bool encode(const float* x, BlockQ8_0* block) {
  const float d = std::bit_cast<float>(largest_magnitude(x)) / 127.0f;
  block->d = f32_to_f16(d);
  if (!is_finite(block->d)) return false;
  const float inverse = inverse_of(d, block->d);
  for (int i = 0; i < kBlock; ++i)
    block->qs[i] = static_cast<int8_t>(std::bit_cast<int32_t>(x[i] * inverse + kRounder) - kRounderBits);
  return true;
}

bool encode(const float* x, BlockQ4_0* block) {
  const float d = first_of_magnitude(x, largest_magnitude(x)) / -8.0f;
  block->d = f32_to_f16(d);
  if (!is_finite(block->d)) return false;
  const float inverse = inverse_of(d, block->d);
  // x / d is -8 to 8: 8 has no code, and 7 is the nearest.
  const auto code = [inverse](float v) { return std::min(static_cast<int32_t>(v * inverse + 8.5f), 15); };
  for (int i = 0; i < kBlock / 2; ++i) block->qs[i] = static_cast<uint8_t>(code(x[i]) | code(x[i + kBlock / 2]) << 4);
  return true;
}

template <class Block>
bool encode_row(const float* x, int64_t cols, std::byte* out) {
  bool good = true;
  for (int64_t c = 0; c < cols; c += kBlock, out += sizeof(Block)) {
    Block block{};
    good &= encode(x + c, &block);
    std::memcpy(out, &block, sizeof block);
  }
  return good;
}

/// Encodes rows [begin, end); the first bad one, or kNoRow.
int64_t encode_rows(const TensorView& matrix, int64_t begin, int64_t end, const TensorView& to, std::byte* out) {
  const int64_t cols = matrix.cols();
  const int64_t from_bytes = dtype_bytes(matrix.dtype, cols), to_bytes = dtype_bytes(to.dtype, cols);
  const auto encode_one = to.dtype == DType::kQ8_0 ? encode_row<BlockQ8_0> : encode_row<BlockQ4_0>;
  std::vector<float> row(static_cast<size_t>(cols));
  for (int64_t r = begin; r < end; ++r) {
    dequantize(matrix.dtype, matrix.data + r * from_bytes, row.data(), cols);
    if (!encode_one(row.data(), cols, out + r * to_bytes)) return r;
  }
  return kNoRow;
}

}  // namespace

Result<OwnedTensor> quantized(const TensorView& matrix, DType to, WorkerPool* pool) {
  VORTEX_CHECK(to == DType::kQ8_0 || to == DType::kQ4_0, "quantised to {}", dtype_info(to).name);
  VORTEX_RETURN_IF_ERROR(check_weight(matrix));
  VORTEX_CHECK(!is_quantized(matrix.dtype), "{} quantised again", dtype_info(matrix.dtype).name);
  VORTEX_RETURN_IF_ERROR(check_weight({matrix.data, to, matrix.shape}));
  OwnedTensor made = OwnedTensor::make(to, matrix.shape);
  std::vector<int64_t> bad(static_cast<size_t>(pool->size()), kNoRow);
  pool->parallel_ranges(matrix.rows(), 1, [&](int64_t begin, int64_t end, int thread) {
    bad[static_cast<size_t>(thread)] = encode_rows(matrix, begin, end, made.view, made.memory.get());
  });
  const int64_t first_bad = *std::min_element(bad.begin(), bad.end());
  if (first_bad == kNoRow) return made;
  return Error{ErrorCode::kDataLoss, "",
               fmt::format("row {} holds a value that is infinite, not a number or too large for {}", first_bad,
                           dtype_info(to).name),
               "check the file"};
}

}  // namespace vortex::kernels
