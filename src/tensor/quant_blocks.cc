#include "tensor/quant_blocks.h"

#include <cstring>

#include "base/check.h"
#include "tensor/half.h"

namespace vortex {
namespace {

void decode(const BlockQ8_0& b, float* out) {
  const float d = f16_to_f32(b.d);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(b.qs[i]);
}

void decode(const BlockQ4_0& b, float* out) {
  const float d = f16_to_f32(b.d);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>((b.qs[i] & 15) - 8);
    out[i + 16] = d * static_cast<float>((b.qs[i] >> 4) - 8);
  }
}

void decode(const BlockQ4_1& b, float* out) {
  const float d = f16_to_f32(b.d), m = f16_to_f32(b.m);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(b.qs[i] & 15) + m;
    out[i + 16] = d * static_cast<float>(b.qs[i] >> 4) + m;
  }
}

/// Fifth bits of a Q5 block: bit i belongs to weight i.
uint32_t high_bits(const uint8_t (&qh)[4]) {
  uint32_t bits;
  std::memcpy(&bits, qh, 4);
  return bits;
}

void decode(const BlockQ5_0& b, float* out) {
  const float d = f16_to_f32(b.d);
  const uint32_t high = high_bits(b.qh);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>(static_cast<int>((b.qs[i] & 15) | ((high >> i & 1) << 4)) - 16);
    out[i + 16] = d * static_cast<float>(static_cast<int>((b.qs[i] >> 4) | ((high >> (i + 16) & 1) << 4)) - 16);
  }
}

void decode(const BlockQ5_1& b, float* out) {
  const float d = f16_to_f32(b.d), m = f16_to_f32(b.m);
  const uint32_t high = high_bits(b.qh);
  for (int i = 0; i < 16; ++i) {
    out[i] = d * static_cast<float>((b.qs[i] & 15) | ((high >> i & 1) << 4)) + m;
    out[i + 16] = d * static_cast<float>((b.qs[i] >> 4) | ((high >> (i + 16) & 1) << 4)) + m;
  }
}

struct ScaleMin {
  int scale;
  int min;
};

/// Six-bit scale and minimum of sub-block j of a K super-block: eight pairs packed in twelve bytes.
ScaleMin scale_min(const uint8_t (&packed)[12], int j) {
  if (j < 4) return {packed[j] & 63, packed[j + 4] & 63};
  return {(packed[j + 4] & 15) | ((packed[j - 4] >> 6) << 4), (packed[j + 4] >> 4) | ((packed[j] >> 6) << 4)};
}

void decode(const BlockQ4_K& b, float* out) {
  const float d = f16_to_f32(b.d), dmin = f16_to_f32(b.dmin);
  for (int j = 0; j < 8; ++j) {
    const auto [scale, min] = scale_min(b.scales, j);
    const uint8_t* q = b.qs + j / 2 * 32;
    const float s = d * static_cast<float>(scale), m = dmin * static_cast<float>(min);
    for (int i = 0; i < 32; ++i) out[32 * j + i] = s * static_cast<float>(j % 2 ? q[i] >> 4 : q[i] & 15) - m;
  }
}

void decode(const BlockQ5_K& b, float* out) {
  const float d = f16_to_f32(b.d), dmin = f16_to_f32(b.dmin);
  for (int j = 0; j < 8; ++j) {
    const auto [scale, min] = scale_min(b.scales, j);
    const uint8_t* q = b.qs + j / 2 * 32;
    const float s = d * static_cast<float>(scale), m = dmin * static_cast<float>(min);
    for (int i = 0; i < 32; ++i) {
      const int low = j % 2 ? q[i] >> 4 : q[i] & 15;
      out[32 * j + i] = s * static_cast<float>(low + ((b.qh[i] >> j & 1) << 4)) - m;
    }
  }
}

void decode(const BlockQ6_K& b, float* out) {
  const float d = f16_to_f32(b.d);
  for (int half = 0; half < 2; ++half) {
    const uint8_t* ql = b.ql + 64 * half;
    const uint8_t* qh = b.qh + 32 * half;
    for (int quarter = 0; quarter < 4; ++quarter) {
      for (int i = 0; i < 32; ++i) {
        const uint8_t low = ql[i + 32 * (quarter % 2)];
        const int nibble = quarter < 2 ? low & 15 : low >> 4;
        const int q = (nibble | ((qh[i] >> (2 * quarter) & 3) << 4)) - 32;
        const int index = 128 * half + 32 * quarter + i;
        const int group = index / 16;
        out[index] = d * static_cast<float>(b.scales[group]) * static_cast<float>(q);
      }
    }
  }
}

template <class Block, int kElements>
void decode_blocks(const void* src, float* dst, int64_t n) {
  const auto* bytes = static_cast<const unsigned char*>(src);
  for (int64_t i = 0; i < n / kElements; ++i) {
    Block block;  // a mapped file gives no alignment
    std::memcpy(&block, bytes + i * static_cast<int64_t>(sizeof(Block)), sizeof(Block));
    decode(block, dst + i * kElements);
  }
}

template <float (*kConvert)(uint16_t)>
void decode_halves(const void* src, float* dst, int64_t n) {
  const auto* bytes = static_cast<const unsigned char*>(src);
  for (int64_t i = 0; i < n; ++i) {
    uint16_t h;
    std::memcpy(&h, bytes + 2 * i, 2);
    dst[i] = kConvert(h);
  }
}

}  // namespace

void dequantize(DType dtype, const void* src, float* dst, int64_t n) {
  VORTEX_CHECK(n % dtype_info(dtype).block_elements == 0, "{} elements of {}", n, dtype_info(dtype).name);
  switch (dtype) {
    case DType::kF32:
      std::memcpy(dst, src, static_cast<size_t>(n) * 4);
      return;
    case DType::kF16:
      return decode_halves<f16_to_f32>(src, dst, n);
    case DType::kBF16:
      return decode_halves<bf16_to_f32>(src, dst, n);
    case DType::kQ8_0:
      return decode_blocks<BlockQ8_0, 32>(src, dst, n);
    case DType::kQ4_0:
      return decode_blocks<BlockQ4_0, 32>(src, dst, n);
    case DType::kQ4_1:
      return decode_blocks<BlockQ4_1, 32>(src, dst, n);
    case DType::kQ5_0:
      return decode_blocks<BlockQ5_0, 32>(src, dst, n);
    case DType::kQ5_1:
      return decode_blocks<BlockQ5_1, 32>(src, dst, n);
    case DType::kQ4_K:
      return decode_blocks<BlockQ4_K, 256>(src, dst, n);
    case DType::kQ5_K:
      return decode_blocks<BlockQ5_K, 256>(src, dst, n);
    case DType::kQ6_K:
      return decode_blocks<BlockQ6_K, 256>(src, dst, n);
    default:
      VORTEX_CHECK(false, "{} is not a weight type", dtype_info(dtype).name);
  }
}

}  // namespace vortex
