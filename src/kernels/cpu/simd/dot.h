// Vectors of bytes and integer dot products, one definition per instruction set; the rules of simd.h hold. A vector
// has 4 * kLanes bytes: four columns of the row that a lane stands for.
//
//   Bytes, load_bytes(p)        unaligned
//   bits<shift, mask>(b)        each byte >> shift (<< -shift) & mask; bits of neighbours must not reach the mask
//   merge(a, b), minus<n>(b)    bytewise a | b; b - n, wrapping
//   I32, to_f32, a + b          kLanes integers
//   Columns, columns(x)         four columns of the activations, x[0 .. 3], in every lane
//   Sums, no_sums()             for each lane the sum of some products of codes and columns, perhaps in parts
//   add_unsigned(s, w, x), add_signed(s, w, x)
//                               s + w[lane][0] * x[0] + .. + w[lane][3] * x[3], |x| <= 127
//   kSumProducts<largest>       that many additions fit into Sums when unsigned codes are at most `largest`, signed
//   ones
//                               at most so in magnitude
//   widen(s)                    the sums as I32. Exact.
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
#elif defined(VORTEX_ISA_neon)
#include "kernels/cpu/simd/dot_neon.h"
#else
#include "kernels/cpu/simd/dot_portable.h"
#endif

namespace vortex::VORTEX_ISA {

/// dot_unsigned and dot_signed: sums are widened when they are full.
template <int largest, int count, class Add>
inline I32 dot_codes(const Bytes* w, const int8_t* x, Add add) {
  constexpr int kPart = kSumProducts<largest> < count ? kSumProducts<largest> : count;
  static_assert(kPart > 0 && count % kPart == 0);
  I32 total;
#pragma GCC unroll 8
  for (int first = 0; first < count; first += kPart) {
    Sums sums = no_sums();
#pragma GCC unroll 8
    for (int k = first; k < first + kPart; ++k) sums = add(sums, w[k], columns(x + 4 * k));
    total = first == 0 ? widen(sums) : total + widen(sums);
  }
  return total;
}
template <int largest, int count>
inline I32 dot_unsigned(const Bytes* w, const int8_t* x) {
  return dot_codes<largest, count>(w, x,
                                   [](Sums sums, Bytes codes, Columns c) { return add_unsigned(sums, codes, c); });
}
template <int largest, int count>
inline I32 dot_signed(const Bytes* w, const int8_t* x) {
  return dot_codes<largest, count>(w, x, [](Sums sums, Bytes codes, Columns c) { return add_signed(sums, codes, c); });
}

}  // namespace vortex::VORTEX_ISA
