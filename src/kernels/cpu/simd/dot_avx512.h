// AVX-512 VNNI: 64 bytes, four products a lane and instruction. See dot.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/cpu/simd/avx512.h"

namespace vortex::avx512 {

struct Bytes {
  __m512i v;
};
struct I32 {
  __m512i v;
};

inline Bytes load_bytes(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
template <int shift, int mask>
inline Bytes bits(Bytes b) {
  const __m512i moved = shift < 0 ? _mm512_slli_epi16(b.v, -shift) : _mm512_srli_epi16(b.v, shift);
  return {_mm512_and_si512(moved, _mm512_set1_epi8(mask))};
}
inline Bytes merge(Bytes a, Bytes b) { return {_mm512_or_si512(a.v, b.v)}; }
template <int n>
inline Bytes minus(Bytes b) {
  return {_mm512_sub_epi8(b.v, _mm512_set1_epi8(n))};
}

inline F32 to_f32(I32 a) { return {_mm512_cvtepi32_ps(a.v)}; }

inline I32 operator+(I32 a, I32 b) { return {_mm512_add_epi32(a.v, b.v)}; }

struct Columns {
  __m512i v;
};
inline Columns columns(const int8_t* x) {
  int32_t word;
  __builtin_memcpy(&word, x, 4);
  return {_mm512_set1_epi32(word)};
}

using Sums = I32;
template <int largest>
constexpr int kSumProducts = 1 << 12;
inline Sums no_sums() { return {_mm512_setzero_si512()}; }
inline Sums add_unsigned(Sums sums, Bytes w, Columns x) { return {_mm512_dpbusd_epi32(sums.v, w.v, x.v)}; }
/// vpdpbusd wants one unsigned side: |w| times x with w's sign.
inline Sums add_signed(Sums sums, Bytes w, Columns x) {
  const __m512i negated = _mm512_mask_sub_epi8(x.v, _mm512_movepi8_mask(w.v), _mm512_setzero_si512(), x.v);
  return add_unsigned(sums, {_mm512_abs_epi8(w.v)}, {negated});
}
inline I32 widen(Sums sums) { return sums; }

inline F32 load_u8(const uint8_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
inline F32 load_i8(const uint8_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
inline void store_i8(int8_t* p, F32 a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(a.v)));
}

}  // namespace vortex::avx512
