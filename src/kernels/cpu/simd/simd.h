// Vectors of float32, one definition per instruction set. Include only from files that CMake compiles once per
// instruction set (vortex_isa_sources); they write their kernels against this interface inside
// namespace vortex::VORTEX_ISA:
//
//   kLanes                             floats in a vector: 8 (portable, avx2, neon) or 16 (avx512)
//   zero, set1, load, store            unaligned
//   load_n, load_bf16_n, store_n       the first n < kLanes lanes, the rest read as 0 and not written
//   load_bf16, load_f16, store_bf16    16-bit floats; stores round to nearest even
//   load_bf16_pair                     2 * kLanes of them, the even and the odd ones apart
//   + - * / max min fma(a, b, c)       fma = a * b + c in one rounding (portable: two)
//   reduce_add, reduce_max             over the lanes of one vector
//   reduce_add_rows(rows)              lane i is the sum over the lanes of rows[i], for kLanes rows
//   exp                                relative error under 3e-7 on [-87, 88]; below -87.3 gives 0
#pragma once

#if defined(VORTEX_ISA_avx512)
#include "kernels/cpu/simd/avx512.h"
#elif defined(VORTEX_ISA_avx2)
#include "kernels/cpu/simd/avx2.h"
#elif defined(VORTEX_ISA_neon)
#include "kernels/cpu/simd/neon.h"
#else
#include "kernels/cpu/simd/portable.h"
#endif

namespace vortex::VORTEX_ISA {

/// exp by range reduction to [-ln2/2, ln2/2] and a degree-6 polynomial (Cephes coefficients).
inline F32 exp(F32 x) {
  const F32 clamped = min(max(x, set1(-87.33654f)), set1(88.37626f));
  const F32 n = round_nearest(clamped * set1(1.44269504088896341f));
  F32 r = fma(n, set1(-0.693359375f), clamped);
  r = fma(n, set1(2.12194440e-4f), r);
  F32 p = set1(1.9875691500e-4f);
  p = fma(p, r, set1(1.3981999507e-3f));
  p = fma(p, r, set1(8.3334519073e-3f));
  p = fma(p, r, set1(4.1665795894e-2f));
  p = fma(p, r, set1(1.6666665459e-1f));
  p = fma(p, r, set1(5.0000001201e-1f));
  p = fma(p, r * r, r) + set1(1.0f);
  return zero_below(x, set1(-87.33654f), scale_by_pow2(p, n));
}

}  // namespace vortex::VORTEX_ISA
