// Reading rows of k and v as float32 vectors. Only for files compiled once per instruction set.
#pragma once

#include "kernels/cpu/simd/dot.h"
#include "kernels/cpu/simd/simd.h"

namespace vortex::VORTEX_ISA {

inline F32 load_row(const float* p) { return load(p); }
inline F32 load_row(const uint16_t* p) { return load_bf16(p); }
inline F32 load_row_n(const float* p, int n) { return load_n(p, n); }
inline F32 load_row_n(const uint16_t* p, int n) { return load_bf16_n(p, n); }

/// Codes as they are, without their step.
inline F32 load_row(const int8_t* p) { return load_i8(reinterpret_cast<const uint8_t*>(p)); }
inline F32 load_row_n(const int8_t* p, int n) {
  int8_t some[kLanes] = {};
  for (int i = 0; i < n; ++i) some[i] = p[i];
  return load_row(some);
}

/// n elements as float32; nothing is written past them.
template <class T>
inline void widen_row(const T* from, int n, float* to) {
  int d = 0;
  for (; d + kLanes <= n; d += kLanes) store(to + d, load_row(from + d));
  if (d < n) store_n(to + d, load_row_n(from + d, n - d), n - d);
}

/// Rows of 8-bit codes, each with its step behind it (tensor/codes.h).
inline float step_behind(const int8_t* codes, int n) {
  uint16_t stored;
  __builtin_memcpy(&stored, codes + n, sizeof(stored));
  const uint32_t bits = uint32_t{stored} << 16;
  float step;
  __builtin_memcpy(&step, &bits, sizeof(step));
  return step;
}

/// The last n columns of a row of codes as float32.
inline void widen_row(const int8_t* codes, int n, float* to) {
  const float step = step_behind(codes, n);
  int d = 0;
  for (; d + kLanes <= n; d += kLanes) store(to + d, load_row(codes + d) * set1(step));
  for (; d < n; ++d) to[d] = static_cast<float>(codes[d]) * step;
}

}  // namespace vortex::VORTEX_ISA
