// Reading rows of k and v as float32 vectors. Only for files compiled once per instruction set.
#pragma once

#include "kernels/cpu/simd/simd.h"

namespace vortex::VORTEX_ISA {

inline F32 load_row(const float* p) { return load(p); }
inline F32 load_row(const uint16_t* p) { return load_bf16(p); }
inline F32 load_row_n(const float* p, int n) { return load_n(p, n); }
inline F32 load_row_n(const uint16_t* p, int n) { return load_bf16_n(p, n); }

/// n elements as float32; nothing is written past them.
template <class T>
inline void widen_row(const T* from, int n, float* to) {
  int d = 0;
  for (; d + kLanes <= n; d += kLanes) store(to + d, load_row(from + d));
  if (d < n) store_n(to + d, load_row_n(from + d, n - d), n - d);
}

}  // namespace vortex::VORTEX_ISA
