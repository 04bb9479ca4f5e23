// Number: a vector with exactly the functions that expressions in ops.def use, and their semantics (graph.h): IEEE at
// infinities, comparisons with NaN false. Include from files built once per instruction set.
#pragma once

#include "kernels/cpu/simd/simd.h"

namespace vortex::VORTEX_ISA::tile {

struct Number {
  F32 v;
};

inline Number set(float x) { return {set1(x)}; }
inline Number one() { return set(1.0f); }
inline Number operator+(Number x, Number y) { return {x.v + y.v}; }
inline Number operator-(Number x, Number y) { return {x.v - y.v}; }
inline Number operator*(Number x, Number y) { return {x.v * y.v}; }
inline Number operator/(Number x, Number y) { return {x.v / y.v}; }

#if defined(VORTEX_ISA_avx512)
#define VORTEX_CHOOSE(name, predicate)                                                          \
  inline Number name(Number x, Number y, Number a, Number b) {                                  \
    return {{_mm512_mask_blend_ps(_mm512_cmp_ps_mask(x.v.v, y.v.v, predicate), b.v.v, a.v.v)}}; \
  }
#elif defined(VORTEX_ISA_avx2)
#define VORTEX_CHOOSE(name, predicate)                                                 \
  inline Number name(Number x, Number y, Number a, Number b) {                         \
    return {{_mm256_blendv_ps(b.v.v, a.v.v, _mm256_cmp_ps(x.v.v, y.v.v, predicate))}}; \
  }
#endif
#if defined(VORTEX_CHOOSE)
// a where x ? y, else b.
VORTEX_CHOOSE(choose_eq, _CMP_EQ_OQ)
VORTEX_CHOOSE(choose_gt, _CMP_GT_OQ)
VORTEX_CHOOSE(choose_ge, _CMP_GE_OQ)
VORTEX_CHOOSE(choose_unordered, _CMP_UNORD_Q)
#undef VORTEX_CHOOSE
#else
inline Number choose_eq(Number x, Number y, Number a, Number b) {
  return {lanes([&](int i) { return x.v.v[i] == y.v.v[i] ? a.v.v[i] : b.v.v[i]; })};
}
inline Number choose_gt(Number x, Number y, Number a, Number b) {
  return {lanes([&](int i) { return x.v.v[i] > y.v.v[i] ? a.v.v[i] : b.v.v[i]; })};
}
inline Number choose_ge(Number x, Number y, Number a, Number b) {
  return {lanes([&](int i) { return x.v.v[i] >= y.v.v[i] ? a.v.v[i] : b.v.v[i]; })};
}
inline Number choose_unordered(Number x, Number y, Number a, Number b) {
  return {lanes([&](int i) { return __builtin_isunordered(x.v.v[i], y.v.v[i]) ? a.v.v[i] : b.v.v[i]; })};
}
#endif

/// out[i] = sum of the lanes of v[i], for four vectors at once: a tree of pairwise sums shares its steps.
inline void sum_lanes(const F32* v, float* out) {
#if defined(VORTEX_ISA_avx2) || defined(VORTEX_ISA_avx512)
  const auto half = [](F32 x) {
#if defined(VORTEX_ISA_avx512)
    return _mm256_add_ps(_mm512_castps512_ps256(x.v), _mm512_extractf32x8_ps(x.v, 1));
#else
    return x.v;
#endif
  };
  const __m256 pairs = _mm256_hadd_ps(_mm256_hadd_ps(half(v[0]), half(v[1])), _mm256_hadd_ps(half(v[2]), half(v[3])));
  _mm_storeu_ps(out, _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps(pairs, 1)));
#else
  for (int i = 0; i < 4; ++i) out[i] = reduce_add(v[i]);
#endif
}

/// y when either is NaN, as the compare-and-choose instructions do.
inline Number max(Number x, Number y) { return {VORTEX_ISA::max(x.v, y.v)}; }
inline Number min(Number x, Number y) { return {VORTEX_ISA::min(x.v, y.v)}; }
inline Number abs(Number x) { return choose_ge(x, set(0), x, set(0) - x); }

/// The shared exp clamps; here large arguments give infinity and NaN stays.
inline Number exp(Number x) {
  const Number large = set(87.0f), shift = set(1.38629436f);
  const Number shifted = {VORTEX_ISA::exp(choose_gt(x, large, x - shift, x).v)};
  return choose_unordered(x, x, x, choose_gt(x, large, shifted * set(4.0f), shifted));
}

inline Number log(Number x) {
  float buffer[kLanes];
  store(buffer, x.v);
  for (float& lane : buffer) lane = __builtin_logf(lane);
  return {load(buffer)};
}

inline Number keep_if_ge(Number x, Number bound, Number other) { return choose_ge(x, bound, x, other); }
inline Number mask_eq(Number x, Number y) { return choose_eq(x, y, set(0), set(-1e30f)); }
inline Number mask_ne(Number x, Number y) { return choose_eq(x, y, set(-1e30f), set(0)); }
inline Number mask_gt(Number x, Number y) { return choose_gt(x, y, set(0), set(-1e30f)); }
inline Number mask_ge(Number x, Number y) { return choose_ge(x, y, set(0), set(-1e30f)); }

/// Larger or smaller of two, NaN if either is: for reductions.
inline Number max_or_nan(Number x, Number y) { return choose_unordered(x, x, x, max(x, y)); }
inline Number min_or_nan(Number x, Number y) { return choose_unordered(x, x, x, min(x, y)); }

}  // namespace vortex::VORTEX_ISA::tile
