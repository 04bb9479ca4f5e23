// Vectors of bytes and integer dot products, one definition per instruction set; the rules of simd.h hold. A vector
// has 4 * kLanes bytes: four columns of the row that a lane stands for.
//
//   Bytes, load_bytes(p)        unaligned
//   bits<shift, mask>(b)        each byte >> shift (<< -shift) & mask; bits of neighbours must not reach the mask
//   merge(a, b), minus<n>(b)    bytewise a | b; b - n, wrapping
//   I32, to_f32                 kLanes integers
//   dot_unsigned<largest, count>(w, x), dot_signed<largest, count>(w, x)
//                               I32 of sum over k < count, c < 4 of w[k][lane][c] * x[4k + c], |x| <= 127,
//                               unsigned codes at most `largest`, signed ones at most so in magnitude. Exact.
//   load_u8, load_i8            kLanes bytes to F32
//   store_i8(p, a)              integral floats in [-128, 127] to bytes
#pragma once

#if defined(VORTEX_ISA_avx512)
#include "kernels/cpu/simd/dot_avx512.h"
#elif defined(VORTEX_ISA_avx2)
#include "kernels/cpu/simd/dot_avx2.h"
#else
#include "kernels/cpu/simd/dot_portable.h"
#endif
