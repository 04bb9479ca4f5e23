// Products of 16-bit numbers, added up in 32 bits, one definition per instruction set; the rules of simd.h hold.
//
//   Words                        2 * kLanes numbers of 16 bits
//   load_words(p)                unaligned, from int16_t, or from int8_t with their sign
//   WordSums, no_word_sums()     kLanes sums of products
//   add_products(s, a, b)        lane i: s[i] + a[2 i] * b[2 i] + a[2 i + 1] * b[2 i + 1]. Exact below 2^31
//   to_f32(s)
#pragma once

#include "kernels/cpu/simd/simd.h"

namespace vortex::VORTEX_ISA {

#if defined(VORTEX_ISA_avx512)

struct Words {
  __m512i v;
};
struct WordSums {
  __m512i v;
};
inline Words load_words(const int16_t* p) { return {_mm512_loadu_si512(p)}; }
inline Words load_words(const int8_t* p) {
  return {_mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
inline WordSums no_word_sums() { return {_mm512_setzero_si512()}; }
inline WordSums add_products(WordSums s, Words a, Words b) { return {_mm512_dpwssd_epi32(s.v, a.v, b.v)}; }
inline F32 to_f32(WordSums s) { return {_mm512_cvtepi32_ps(s.v)}; }

#elif defined(VORTEX_ISA_avx2)

struct Words {
  __m256i v;
};
struct WordSums {
  __m256i v;
};
inline Words load_words(const int16_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
inline Words load_words(const int8_t* p) {
  return {_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}
inline WordSums no_word_sums() { return {_mm256_setzero_si256()}; }
inline WordSums add_products(WordSums s, Words a, Words b) {
  return {_mm256_add_epi32(s.v, _mm256_madd_epi16(a.v, b.v))};
}
inline F32 to_f32(WordSums s) { return {_mm256_cvtepi32_ps(s.v)}; }

#else

struct Words {
  int16_t v[2 * kLanes];
};
struct WordSums {
  int32_t v[kLanes];
};
template <class Number>
inline Words load_words(const Number* p) {
  Words r;
  for (int i = 0; i < 2 * kLanes; ++i) r.v[i] = p[i];
  return r;
}
inline WordSums no_word_sums() { return {}; }
inline WordSums add_products(const WordSums& s, const Words& a, const Words& b) {
  WordSums r;
  for (int i = 0; i < kLanes; ++i) r.v[i] = s.v[i] + a.v[2 * i] * b.v[2 * i] + a.v[2 * i + 1] * b.v[2 * i + 1];
  return r;
}
inline F32 to_f32(const WordSums& s) {
  float lanes[kLanes];
  for (int i = 0; i < kLanes; ++i) lanes[i] = static_cast<float>(s.v[i]);
  return load(lanes);
}

#endif

/// The first n < 2 * kLanes numbers, then zeros; nothing is read past them.
template <class Number>
inline Words load_words_n(const Number* p, int n) {
  Number some[2 * kLanes] = {};
  for (int i = 0; i < n; ++i) some[i] = p[i];
  return load_words(some);
}

}  // namespace vortex::VORTEX_ISA
