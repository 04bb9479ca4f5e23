// AVX2: 32 bytes, products of byte pairs summed in 16 bits as long as they fit. See dot.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/simd/avx2.h"

namespace vortex::avx2 {

struct Bytes {
  __m256i v;
};
struct I32 {
  __m256i v;
};

inline Bytes load_bytes(const uint8_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
template <int shift, int mask>
inline Bytes bits(Bytes b) {
  const __m256i moved = shift < 0 ? _mm256_slli_epi16(b.v, -shift) : _mm256_srli_epi16(b.v, shift);
  return {_mm256_and_si256(moved, _mm256_set1_epi8(mask))};
}
inline Bytes merge(Bytes a, Bytes b) { return {_mm256_or_si256(a.v, b.v)}; }
template <int n>
inline Bytes minus(Bytes b) {
  return {_mm256_sub_epi8(b.v, _mm256_set1_epi8(n))};
}

inline F32 to_f32(I32 a) { return {_mm256_cvtepi32_ps(a.v)}; }

/// Four bytes of x in every lane.
inline __m256i four_columns(const int8_t* x) {
  int32_t word;
  __builtin_memcpy(&word, x, 4);
  return _mm256_set1_epi32(word);
}

/// Sums pairs(k), each a vector of 16-bit sums of two products of magnitude up to 127 * largest.
template <int largest, int count, class Pairs>
inline I32 sum_pairs(Pairs pairs) {
  constexpr int kChain = 32767 / (2 * 127 * largest) < count ? 32767 / (2 * 127 * largest) : count;
  static_assert(kChain > 0 && count % kChain == 0);
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sum = _mm256_setzero_si256();
#pragma GCC unroll 8
  for (int first = 0; first < count; first += kChain) {
    __m256i chain = pairs(first);
#pragma GCC unroll 8
    for (int k = first + 1; k < first + kChain; ++k) chain = _mm256_add_epi16(chain, pairs(k));
    const __m256i wide = _mm256_madd_epi16(chain, ones);
    sum = first == 0 ? wide : _mm256_add_epi32(sum, wide);
  }
  return {sum};
}
template <int largest, int count>
inline I32 dot_unsigned(const Bytes* w, const int8_t* x) {
  return sum_pairs<largest, count>([=](int k) { return _mm256_maddubs_epi16(w[k].v, four_columns(x + 4 * k)); });
}
/// vpmaddubsw wants one unsigned side: |w| times x with w's sign.
template <int largest, int count>
inline I32 dot_signed(const Bytes* w, const int8_t* x) {
  return sum_pairs<largest, count>([=](int k) {
    return _mm256_maddubs_epi16(_mm256_abs_epi8(w[k].v), _mm256_sign_epi8(four_columns(x + 4 * k), w[k].v));
  });
}

inline F32 load_u8(const uint8_t* p) {
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
}
inline F32 load_i8(const uint8_t* p) {
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
}
inline void store_i8(int8_t* p, F32 a) {
  const __m256i wide = _mm256_cvtps_epi32(a.v);
  const __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(halves, halves));
}

}  // namespace vortex::avx2
