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
#elif defined(VORTEX_ISA_neon)
inline Number choose_eq(Number x, Number y, Number a, Number b) { return {choose(equal(x.v, y.v), a.v, b.v)}; }
inline Number choose_gt(Number x, Number y, Number a, Number b) { return {choose(greater(x.v, y.v), a.v, b.v)}; }
inline Number choose_ge(Number x, Number y, Number a, Number b) { return {choose(at_least(x.v, y.v), a.v, b.v)}; }
inline Number choose_unordered(Number x, Number y, Number a, Number b) {
  return {choose(equal(x.v, x.v) & equal(y.v, y.v), b.v, a.v)};
}
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

/// The addresses of pages follow no pattern that hardware would guess: so many bytes ahead of the reader are fetched.
constexpr int64_t kFetchAhead = 2048;

/// Inlined at once: g++ takes a function that only fetches for one without effect, and drops its calls.
[[gnu::always_inline]] inline void fetch(const void* page, int64_t bytes) {
  const char* p = static_cast<const char*>(page);
  for (int64_t at = 0; at < bytes; at += 64) __builtin_prefetch(p + at);
}

/// Pages of `bytes` to be ahead.
inline int64_t pages_ahead(int64_t bytes) { return bytes < kFetchAhead ? kFetchAhead / bytes : 1; }

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
#elif defined(VORTEX_ISA_neon)
  const auto half = [](F32 x) { return vaddq_f32(x.low, x.high); };
  vst1q_f32(out, vpaddq_f32(vpaddq_f32(half(v[0]), half(v[1])), vpaddq_f32(half(v[2]), half(v[3]))));
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

/// Mantissa in [1/2, 1) and exponent of positive normal numbers.
struct Parts {
  Number mantissa, exponent;
};
#if defined(VORTEX_ISA_avx512)
inline Parts parts_of(Number x) {
  return {{{_mm512_getmant_ps(x.v.v, _MM_MANT_NORM_p5_1, _MM_MANT_SIGN_zero)}},
          {{_mm512_add_ps(_mm512_getexp_ps(x.v.v), _mm512_set1_ps(1.0f))}}};
}
#elif defined(VORTEX_ISA_avx2)
inline Parts parts_of(Number x) {
  const __m256i bits = _mm256_castps_si256(x.v.v);
  const __m256i exponent = _mm256_sub_epi32(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(126));
  const __m256i mantissa =
      _mm256_or_si256(_mm256_and_si256(bits, _mm256_set1_epi32(0x007fffff)), _mm256_set1_epi32(0x3f000000));
  return {{{_mm256_castsi256_ps(mantissa)}}, {{_mm256_cvtepi32_ps(exponent)}}};
}
#elif defined(VORTEX_ISA_neon)
inline Parts parts_of(Number x) {
  const auto exponent = [](float32x4_t a) {
    return vcvtq_f32_s32(vsubq_s32(vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_f32(a), 23)), vdupq_n_s32(126)));
  };
  const auto mantissa = [](float32x4_t a) {
    return vreinterpretq_f32_u32(vbslq_u32(vdupq_n_u32(0x007fffff), vreinterpretq_u32_f32(a), vdupq_n_u32(0x3f000000)));
  };
  return {{{mantissa(x.v.low), mantissa(x.v.high)}}, {{exponent(x.v.low), exponent(x.v.high)}}};
}
#else
inline Parts parts_of(Number x) {
  Parts parts{};
  for (int i = 0; i < kLanes; ++i) {
    int exponent = 0;
    parts.mantissa.v.v[i] = __builtin_frexpf(x.v.v[i], &exponent);
    parts.exponent.v.v[i] = static_cast<float>(exponent);
  }
  return parts;
}
#endif

/// By a degree-8 polynomial around 1 (Cephes coefficients). Zero gives -infinity, below zero NaN.
inline Number log(Number x) {
  const Number tiny = set(0x1p-126f), infinity = set(__builtin_inff());
  const Number subnormal = choose_gt(tiny, x, one(), set(0));
  Parts parts = parts_of(choose_gt(tiny, x, x * set(0x1p64f), x));
  const Number low = choose_gt(set(0.707106781f), parts.mantissa, one(), set(0));
  const Number r = parts.mantissa + low * parts.mantissa - one();
  const Number e = parts.exponent - low - subnormal * set(64.0f);
  Number p = set(7.0376836292e-2f);
  for (float c : {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f, -1.6668057665e-1f,
                  2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f})
    p = {fma(p.v, r.v, set1(c))};
  Number y = p * r * r * r;
  y = {fma(e.v, set1(-2.12194440e-4f), y.v)};
  y = {fma((r * r).v, set1(-0.5f), y.v)};
  y = {fma(e.v, set1(0.693359375f), (r + y).v)};
  y = choose_gt(infinity, x, y, x);  // infinity stays, NaN too
  y = choose_eq(x, set(0), set(0) - infinity, y);
  return choose_gt(set(0), x, set(__builtin_nanf("")), y);
}

inline Number keep_if_ge(Number x, Number bound, Number other) { return choose_ge(x, bound, x, other); }
inline Number mask_eq(Number x, Number y) { return choose_eq(x, y, set(0), set(-1e30f)); }
inline Number mask_ne(Number x, Number y) { return choose_eq(x, y, set(-1e30f), set(0)); }
inline Number mask_gt(Number x, Number y) { return choose_gt(x, y, set(0), set(-1e30f)); }
inline Number mask_ge(Number x, Number y) { return choose_ge(x, y, set(0), set(-1e30f)); }

inline bool any_nan(Number x) {
#if defined(VORTEX_ISA_avx512)
  return _mm512_cmp_ps_mask(x.v.v, x.v.v, _CMP_UNORD_Q) != 0;
#elif defined(VORTEX_ISA_avx2)
  return _mm256_movemask_ps(_mm256_cmp_ps(x.v.v, x.v.v, _CMP_UNORD_Q)) != 0;
#elif defined(VORTEX_ISA_neon)
  return bits_of(equal(x.v, x.v)) != 0xff;
#else
  bool any = false;
  for (float lane : x.v.v) any |= lane != lane;
  return any;
#endif
}

/// Larger or smaller of two, NaN if either is: for reductions.
inline Number max_or_nan(Number x, Number y) { return choose_unordered(x, x, x, max(x, y)); }
inline Number min_or_nan(Number x, Number y) { return choose_unordered(x, x, x, min(x, y)); }

}  // namespace vortex::VORTEX_ISA::tile
