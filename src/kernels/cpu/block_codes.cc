#include "kernels/cpu/block_codes.h"

#include <cstring>

#include "base/check.h"
#include "tensor/quant_blocks.h"

namespace vortex::kernels::cpu {
namespace {

/// Low nibbles are the first half of the codes, high nibbles the second.
void extract_nibbles(const uint8_t* packed, int count, uint8_t* codes) {
  for (int i = 0; i < count; ++i) codes[i] = packed[i] & 15;
  for (int i = 0; i < count; ++i) codes[count + i] = packed[i] >> 4;
}

void extract_fifth_bits(const uint8_t (&packed)[4], uint8_t* codes) {
  for (int i = 0; i < 32; ++i) codes[i] = static_cast<uint8_t>(codes[i] | (packed[i / 8] >> i % 8 & 1) << 4);
}

/// Eight 6-bit scales and mins in twelve bytes.
void extract_scales(const uint8_t (&packed)[12], BlockCodes* out) {
  for (int j = 0; j < 4; ++j) {
    out->group_scales[j] = packed[j] & 63;
    out->group_mins[j] = packed[j + 4] & 63;
    out->group_scales[j + 4] = static_cast<uint8_t>((packed[j + 8] & 15) | packed[j] >> 6 << 4);
    out->group_mins[j + 4] = static_cast<uint8_t>(packed[j + 8] >> 4 | packed[j + 4] >> 6 << 4);
  }
}

void extract(const BlockQ8_0& b, BlockCodes* out) {
  out->scale = b.d;
  std::memcpy(out->codes, b.qs, sizeof b.qs);
}

void extract(const BlockQ4_0& b, BlockCodes* out) {
  out->scale = b.d;
  extract_nibbles(b.qs, 16, out->codes);
}

void extract(const BlockQ4_1& b, BlockCodes* out) {
  out->scale = b.d;
  out->min = b.m;
  extract_nibbles(b.qs, 16, out->codes);
}

void extract(const BlockQ5_0& b, BlockCodes* out) {
  out->scale = b.d;
  extract_nibbles(b.qs, 16, out->codes);
  extract_fifth_bits(b.qh, out->codes);
}

void extract(const BlockQ5_1& b, BlockCodes* out) {
  out->scale = b.d;
  out->min = b.m;
  extract_nibbles(b.qs, 16, out->codes);
  extract_fifth_bits(b.qh, out->codes);
}

void extract(const BlockQ4_K& b, BlockCodes* out) {
  out->scale = b.d;
  out->min = b.dmin;
  extract_scales(b.scales, out);
  for (int quarter = 0; quarter < 4; ++quarter) extract_nibbles(b.qs + 32 * quarter, 32, out->codes + 64 * quarter);
}

void extract(const BlockQ5_K& b, BlockCodes* out) {
  out->scale = b.d;
  out->min = b.dmin;
  extract_scales(b.scales, out);
  for (int quarter = 0; quarter < 4; ++quarter) extract_nibbles(b.qs + 32 * quarter, 32, out->codes + 64 * quarter);
  for (int i = 0; i < 256; ++i) out->codes[i] = static_cast<uint8_t>(out->codes[i] | (b.qh[i % 32] >> i / 32 & 1) << 4);
}

void extract(const BlockQ6_K& b, BlockCodes* out) {
  out->scale = b.d;
  std::memcpy(out->group_scales, b.scales, sizeof b.scales);
  for (int half = 0; half < 2; ++half) {
    uint8_t* codes = out->codes + 128 * half;
    extract_nibbles(b.ql + 64 * half, 64, codes);
    for (int i = 0; i < 128; ++i)
      codes[i] = static_cast<uint8_t>(codes[i] | (b.qh[32 * half + i % 32] >> 2 * (i / 32) & 3) << 4);
  }
}

template <class Block>
void extract_at(const std::byte* src, BlockCodes* out) {
  Block block;
  std::memcpy(&block, src, sizeof block);
  extract(block, out);
}

}  // namespace

void extract_codes(DType dtype, const std::byte* src, BlockCodes* out) {
  switch (dtype) {
    case DType::kQ8_0:
      return extract_at<BlockQ8_0>(src, out);
    case DType::kQ4_0:
      return extract_at<BlockQ4_0>(src, out);
    case DType::kQ4_1:
      return extract_at<BlockQ4_1>(src, out);
    case DType::kQ5_0:
      return extract_at<BlockQ5_0>(src, out);
    case DType::kQ5_1:
      return extract_at<BlockQ5_1>(src, out);
    case DType::kQ4_K:
      return extract_at<BlockQ4_K>(src, out);
    case DType::kQ5_K:
      return extract_at<BlockQ5_K>(src, out);
    case DType::kQ6_K:
      return extract_at<BlockQ6_K>(src, out);
    default:
      VORTEX_CHECK(false, "{} has no blocks", dtype_info(dtype).name);
  }
}

}  // namespace vortex::kernels::cpu
