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

/// Four bytes of x in every lane.
inline __m512i four_columns(const int8_t* x) {
  int32_t word;
  __builtin_memcpy(&word, x, 4);
  return _mm512_set1_epi32(word);
}

template <int largest, int count>
inline I32 dot_unsigned(const Bytes* w, const int8_t* x) {
  __m512i sum = _mm512_setzero_si512();
#pragma GCC unroll 8
  for (int k = 0; k < count; ++k) sum = _mm512_dpbusd_epi32(sum, w[k].v, four_columns(x + 4 * k));
  return {sum};
}
/// vpdpbusd wants one unsigned side: |w| times x with w's sign.
template <int largest, int count>
inline I32 dot_signed(const Bytes* w, const int8_t* x) {
  const __m512i zero_bytes = _mm512_setzero_si512();
  __m512i sum = _mm512_setzero_si512();
#pragma GCC unroll 8
  for (int k = 0; k < count; ++k) {
    const __m512i columns = four_columns(x + 4 * k);
    const __m512i with_sign = _mm512_mask_sub_epi8(columns, _mm512_movepi8_mask(w[k].v), zero_bytes, columns);
    sum = _mm512_dpbusd_epi32(sum, _mm512_abs_epi8(w[k].v), with_sign);
  }
  return {sum};
}

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
