// The vector functions of one instruction set as plain functions, so that one test reaches all of them.
#pragma once

#include <cstdint>

namespace vortex::simd_test {

struct Functions {
  int lanes;
  // Each works on one vector: `lanes` values in, `lanes` out, unless it says otherwise.
  void (*exp)(const float* x, float* out);
  void (*round_nearest)(const float* x, float* out);
  void (*scale_by_pow2)(const float* x, const float* n, float* out);
  void (*zero_below)(const float* x, const float* bound, const float* a, float* out);
  void (*arithmetic)(const float* a, const float* b, const float* c, float* out);  // + - * / max min fma: 7 vectors
  void (*reduce)(const float* x, float* out);                                      // sum, max
  void (*copy_n)(const float* x, int n, float* out);                               // load_n then store, 0 past n
  void (*store_n)(const float* x, int n, float* out);
  void (*load_bf16)(const uint16_t* x, float* out);
  void (*load_bf16_pair)(const uint16_t* x, float* out);  // 2 * lanes: the even ones, then the odd
  void (*load_f16)(const uint16_t* x, float* out);
  void (*store_bf16)(const float* x, uint16_t* out);
  void (*bytes_to_float)(const uint8_t* x, float* out);  // load_u8, then load_i8: 2 vectors
  void (*store_i8)(const float* x, int8_t* out);
  // 8 vectors of 4 * lanes codes and 32 columns; 4 for the dots of 16.
  void (*dot_u4)(const uint8_t* codes, const int8_t* x, float* out);
  void (*dot_u5)(const uint8_t* codes, const int8_t* x, float* out);
  void (*dot_i6)(const uint8_t* codes, const int8_t* x, float* out);
  void (*dot_i8)(const uint8_t* codes, const int8_t* x, float* out);
  void (*byte_fields)(const uint8_t* x, uint8_t* out);  // low nibbles, high, low two bits << 4, x - 32: 4 vectors
};

}  // namespace vortex::simd_test
