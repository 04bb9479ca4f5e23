// NEON with dot product: 32 bytes in two registers, four products a lane and instruction. See dot.h.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "kernels/cpu/simd/neon.h"

namespace vortex::neon {

struct Bytes {
  uint8x16_t low, high;
};
struct I32 {
  int32x4_t low, high;
};

inline Bytes load_bytes(const uint8_t* p) { return {vld1q_u8(p), vld1q_u8(p + 16)}; }
template <int shift, int mask>
inline Bytes bits(Bytes b) {
  const auto field = [](uint8x16_t x) {
    if constexpr (shift < 0)
      x = vshlq_n_u8(x, -shift);
    else if constexpr (shift > 0)
      x = vshrq_n_u8(x, shift);
    return vandq_u8(x, vdupq_n_u8(mask));
  };
  return {field(b.low), field(b.high)};
}
inline Bytes merge(Bytes a, Bytes b) { return {vorrq_u8(a.low, b.low), vorrq_u8(a.high, b.high)}; }
template <int n>
inline Bytes minus(Bytes b) {
  return {vsubq_u8(b.low, vdupq_n_u8(n)), vsubq_u8(b.high, vdupq_n_u8(n))};
}

inline F32 to_f32(I32 a) { return {vcvtq_f32_s32(a.low), vcvtq_f32_s32(a.high)}; }

inline I32 operator+(I32 a, I32 b) { return {vaddq_s32(a.low, b.low), vaddq_s32(a.high, b.high)}; }

struct Columns {
  int8x16_t v;
};
inline Columns columns(const int8_t* x) {
  int32_t word;
  __builtin_memcpy(&word, x, 4);
  return {vreinterpretq_s8_s32(vdupq_n_s32(word))};
}

using Sums = I32;
template <int largest>
constexpr int kSumProducts = 1 << 12;
inline Sums no_sums() { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
inline Sums add_signed(Sums sums, Bytes w, Columns x) {
  return {vdotq_s32(sums.low, vreinterpretq_s8_u8(w.low), x.v), vdotq_s32(sums.high, vreinterpretq_s8_u8(w.high), x.v)};
}
/// Codes of up to 7 bits are the same with a sign.
inline Sums add_unsigned(Sums sums, Bytes w, Columns x) { return add_signed(sums, w, x); }
inline I32 widen(Sums sums) { return sums; }

/// Eight 16-bit integers.
inline F32 to_f32(int16x8_t a) { return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(a))), vcvtq_f32_s32(vmovl_high_s16(a))}; }
inline F32 load_u8(const uint8_t* p) { return to_f32(vreinterpretq_s16_u16(vmovl_u8(vld1_u8(p)))); }
inline F32 load_i8(const uint8_t* p) { return to_f32(vmovl_s8(vreinterpret_s8_u8(vld1_u8(p)))); }
inline void store_i8(int8_t* p, F32 a) {
  const int16x4_t low = vqmovn_s32(vcvtnq_s32_f32(a.low)), high = vqmovn_s32(vcvtnq_s32_f32(a.high));
  vst1_s8(p, vqmovn_s16(vcombine_s16(low, high)));
}

}  // namespace vortex::neon
