// NEON: eight floats in two registers, so that loops tuned for the 16 registers of AVX2 fill the 32 of aarch64.
// See simd.h.
#pragma once

#include <arm_neon.h>

#include <cstdint>

namespace vortex::neon {

constexpr int kLanes = 8;
struct F32 {
  float32x4_t low, high;
};

inline F32 zero() { return {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)}; }
inline F32 set1(float x) { return {vdupq_n_f32(x), vdupq_n_f32(x)}; }
inline F32 load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4)}; }
inline void store(float* p, F32 a) {
  vst1q_f32(p, a.low);
  vst1q_f32(p + 4, a.high);
}
inline F32 load_n(const float* p, int n) {
  float first[kLanes] = {};
  for (int i = 0; i < n; ++i) first[i] = p[i];
  return load(first);
}
inline void store_n(float* p, F32 a, int n) {
  float all[kLanes];
  store(all, a);
  for (int i = 0; i < n; ++i) p[i] = all[i];
}

inline F32 load_bf16(const uint16_t* p) {
  const uint16x8_t words = vld1q_u16(p), zeros = vdupq_n_u16(0);
  return {vreinterpretq_f32_u16(vzip1q_u16(zeros, words)), vreinterpretq_f32_u16(vzip2q_u16(zeros, words))};
}
struct BF16Pair {
  F32 even, odd;
};
inline BF16Pair load_bf16_pair(const uint16_t* p) {
  const uint32x4_t low = vreinterpretq_u32_u16(vld1q_u16(p)), high = vreinterpretq_u32_u16(vld1q_u16(p + 8));
  const uint32x4_t upper = vdupq_n_u32(0xffff0000u);
  return {{vreinterpretq_f32_u32(vshlq_n_u32(low, 16)), vreinterpretq_f32_u32(vshlq_n_u32(high, 16))},
          {vreinterpretq_f32_u32(vandq_u32(low, upper)), vreinterpretq_f32_u32(vandq_u32(high, upper))}};
}
inline F32 load_f16(const uint16_t* p) {
  const float16x8_t halves = vreinterpretq_f16_u16(vld1q_u16(p));
  return {vcvt_f32_f16(vget_low_f16(halves)), vcvt_high_f32_f16(halves)};
}
inline F32 load_bf16_n(const uint16_t* p, int n) {
  uint16_t first[kLanes] = {};
  for (int i = 0; i < n; ++i) first[i] = p[i];
  return load_bf16(first);
}
/// Rounded to nearest even; NaN stays NaN.
inline uint16x4_t to_bf16(float32x4_t a) {
  const uint32x4_t bits = vreinterpretq_u32_f32(a);
  const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
  const uint32x4_t rounded = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd);
  const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
  return vshrn_n_u32(vbslq_u32(vceqq_f32(a, a), rounded, quiet), 16);
}
inline void store_bf16(uint16_t* p, F32 a) { vst1q_u16(p, vcombine_u16(to_bf16(a.low), to_bf16(a.high))); }

inline F32 operator+(F32 a, F32 b) { return {vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)}; }
inline F32 operator-(F32 a, F32 b) { return {vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)}; }
inline F32 operator*(F32 a, F32 b) { return {vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)}; }
inline F32 operator/(F32 a, F32 b) { return {vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high)}; }
inline F32 fma(F32 a, F32 b, F32 c) { return {vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)}; }

/// All bits of a lane are set where something holds.
struct Mask {
  uint32x4_t low, high;
};
inline Mask equal(F32 a, F32 b) { return {vceqq_f32(a.low, b.low), vceqq_f32(a.high, b.high)}; }
inline Mask greater(F32 a, F32 b) { return {vcgtq_f32(a.low, b.low), vcgtq_f32(a.high, b.high)}; }
inline Mask at_least(F32 a, F32 b) { return {vcgeq_f32(a.low, b.low), vcgeq_f32(a.high, b.high)}; }
inline Mask operator&(Mask a, Mask b) { return {vandq_u32(a.low, b.low), vandq_u32(a.high, b.high)}; }
/// a where the mask is set, else b.
inline F32 choose(Mask mask, F32 a, F32 b) {
  return {vbslq_f32(mask.low, a.low, b.low), vbslq_f32(mask.high, a.high, b.high)};
}
/// Bit i: lane i is set.
inline uint32_t bits_of(Mask mask) {
  const uint32x4_t low = {1, 2, 4, 8}, high = {16, 32, 64, 128};
  return vaddvq_u32(vorrq_u32(vandq_u32(mask.low, low), vandq_u32(mask.high, high)));
}

// Not vmaxq_f32 and vminq_f32: where one is NaN, all sets return the second operand.
inline F32 max(F32 a, F32 b) { return choose(greater(a, b), a, b); }
inline F32 min(F32 a, F32 b) { return choose(greater(b, a), a, b); }

inline float reduce_add(F32 a) { return vaddvq_f32(vaddq_f32(a.low, a.high)); }
inline float reduce_max(F32 a) { return vmaxvq_f32(vmaxq_f32(a.low, a.high)); }

inline F32 reduce_add_rows(const F32 (&rows)[kLanes]) {
  const auto add_four = [](const F32* r) {
    const auto half = [](F32 x) { return vaddq_f32(x.low, x.high); };
    return vpaddq_f32(vpaddq_f32(half(r[0]), half(r[1])), vpaddq_f32(half(r[2]), half(r[3])));
  };
  return {add_four(rows), add_four(rows + 4)};
}

inline F32 round_nearest(F32 a) { return {vrndnq_f32(a.low), vrndnq_f32(a.high)}; }
/// a * 2^n for integral n in [-126, 127].
inline F32 scale_by_pow2(F32 a, F32 n) {
  const auto power = [](float32x4_t exponent) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(exponent), vdupq_n_s32(127)), 23));
  };
  return a * F32{power(n.low), power(n.high)};
}
/// a where x >= bound, else 0.
inline F32 zero_below(F32 x, F32 bound, F32 a) { return choose(greater(bound, x), zero(), a); }

}  // namespace vortex::neon
