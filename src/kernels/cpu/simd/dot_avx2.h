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

inline I32 operator+(I32 a, I32 b) { return {_mm256_add_epi32(a.v, b.v)}; }

struct Columns {
  __m256i v;
};
inline Columns columns(const int8_t* x) {
  int32_t word;
  __builtin_memcpy(&word, x, 4);
  return {_mm256_set1_epi32(word)};
}

/// Pairs of products, of magnitude up to 2 * 127 * largest, summed in 16 bits.
struct Sums {
  __m256i v;
};
template <int largest>
constexpr int kSumProducts = 32767 / (2 * 127 * largest);
inline Sums no_sums() { return {_mm256_setzero_si256()}; }
inline Sums add_unsigned(Sums sums, Bytes w, Columns x) {
  __m256i sum = _mm256_add_epi16(sums.v, _mm256_maddubs_epi16(w.v, x.v));
  asm("" : "+x"(sum));  // added here: the compiler would keep the products of a tile until it has no registers left
  return {sum};
}
/// vpmaddubsw wants one unsigned side: |w| times x with w's sign.
inline Sums add_signed(Sums sums, Bytes w, Columns x) {
  return add_unsigned(sums, {_mm256_abs_epi8(w.v)}, {_mm256_sign_epi8(x.v, w.v)});
}
inline I32 widen(Sums sums) { return {_mm256_madd_epi16(sums.v, _mm256_set1_epi16(1))}; }

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
