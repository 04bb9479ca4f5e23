// Reading rows of k and v as float32 vectors. Only for files compiled once per instruction set.
#pragma once

#include "kernels/cpu/simd/simd.h"

namespace vortex::VORTEX_ISA {

inline F32 load_row(const float* p) { return load(p); }
inline F32 load_row(const uint16_t* p) { return load_bf16(p); }
inline F32 load_row_n(const float* p, int n) { return load_n(p, n); }
inline F32 load_row_n(const uint16_t* p, int n) { return load_bf16_n(p, n); }

}  // namespace vortex::VORTEX_ISA
