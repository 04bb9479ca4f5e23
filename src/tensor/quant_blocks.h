// GGUF block formats and their exact decoding to float32: the oracle every fast kernel is compared with.
// Layouts are ggml's: 32 weights a block for the "_0"/"_1" types, 256 a super-block for the K types.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "tensor/dtype.h"

namespace vortex {

struct BlockQ8_0 {
  uint16_t d;
  int8_t qs[32];
};  // x = d * q
struct BlockQ4_0 {
  uint16_t d;
  uint8_t qs[16];
};  // x = d * (q - 8)
struct BlockQ4_1 {
  uint16_t d, m;
  uint8_t qs[16];
};  // x = d * q + m
struct BlockQ5_0 {
  uint16_t d;
  uint8_t qh[4];
  uint8_t qs[16];
};  // x = d * (q - 16)
struct BlockQ5_1 {
  uint16_t d, m;
  uint8_t qh[4];
  uint8_t qs[16];
};  // x = d * q + m
struct BlockQ4_K {
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t qs[128];
};  // 6-bit scales and mins
struct BlockQ5_K {
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t qh[32];
  uint8_t qs[128];
};
struct BlockQ6_K {
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  uint16_t d;
};  // x = d * scale * (q - 32)
static_assert(sizeof(BlockQ8_0) == 34 && sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20);
static_assert(sizeof(BlockQ5_0) == 22 && sizeof(BlockQ5_1) == 24);
static_assert(sizeof(BlockQ4_K) == 144 && sizeof(BlockQ5_K) == 176 && sizeof(BlockQ6_K) == 210);

/// Decodes `n` elements of any float, half or block type to float32. `n` is a multiple of the type's block.
/// Integer types and fp8 are refused by a CHECK: they are not weights here.
void dequantize(DType dtype, const void* src, float* dst, int64_t n);

}  // namespace vortex
