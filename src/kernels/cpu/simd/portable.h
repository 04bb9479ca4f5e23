// Any CPU: eight floats in plain loops that the compiler may vectorise. See simd.h.
#pragma once

#include <cstdint>

#include "tensor/half.h"

namespace vortex::portable {

constexpr int kLanes = 8;
struct F32 {
  float v[kLanes];
};

template <class Lane>
inline F32 lanes(Lane lane) {
  F32 r;
  for (int i = 0; i < kLanes; ++i) r.v[i] = lane(i);
  return r;
}

inline F32 zero() {
  return lanes([](int) { return 0.0f; });
}
inline F32 set1(float x) {
  return lanes([=](int) { return x; });
}
inline F32 load(const float* p) {
  return lanes([=](int i) { return p[i]; });
}
inline void store(float* p, F32 a) {
  for (int i = 0; i < kLanes; ++i) p[i] = a.v[i];
}
inline F32 load_n(const float* p, int n) {
  return lanes([=](int i) { return i < n ? p[i] : 0.0f; });
}
inline void store_n(float* p, F32 a, int n) {
  for (int i = 0; i < n; ++i) p[i] = a.v[i];
}
inline F32 load_bf16(const uint16_t* p) {
  return lanes([=](int i) { return bf16_to_f32(p[i]); });
}
struct BF16Pair {
  F32 even, odd;
};
inline BF16Pair load_bf16_pair(const uint16_t* p) {
  return {lanes([=](int i) { return bf16_to_f32(p[2 * i]); }), lanes([=](int i) { return bf16_to_f32(p[2 * i + 1]); })};
}
inline F32 load_f16(const uint16_t* p) {
  return lanes([=](int i) { return f16_to_f32(p[i]); });
}
inline F32 load_bf16_n(const uint16_t* p, int n) {
  return lanes([=](int i) { return i < n ? bf16_to_f32(p[i]) : 0.0f; });
}
inline void store_bf16(uint16_t* p, F32 a) {
  for (int i = 0; i < kLanes; ++i) p[i] = f32_to_bf16(a.v[i]);
}

inline F32 operator+(F32 a, F32 b) {
  return lanes([&](int i) { return a.v[i] + b.v[i]; });
}
inline F32 operator-(F32 a, F32 b) {
  return lanes([&](int i) { return a.v[i] - b.v[i]; });
}
inline F32 operator*(F32 a, F32 b) {
  return lanes([&](int i) { return a.v[i] * b.v[i]; });
}
inline F32 operator/(F32 a, F32 b) {
  return lanes([&](int i) { return a.v[i] / b.v[i]; });
}
inline F32 max(F32 a, F32 b) {
  return lanes([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
inline F32 min(F32 a, F32 b) {
  return lanes([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
inline F32 fma(F32 a, F32 b, F32 c) {
  return lanes([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}

inline float reduce_add(F32 a) {
  float sum = 0.0f;
  for (float x : a.v) sum += x;
  return sum;
}
inline float reduce_max(F32 a) {
  float best = a.v[0];
  for (float x : a.v) best = x > best ? x : best;
  return best;
}

inline F32 reduce_add_rows(const F32 (&rows)[kLanes]) {
  return lanes([&](int i) { return reduce_add(rows[i]); });
}

/// Nearest integer, ties to even, for |a| < 2^22: adding 1.5 * 2^23 leaves no fraction bits.
inline F32 round_nearest(F32 a) {
  return lanes([&](int i) {
    volatile float shifted = a.v[i] + 12582912.0f;
    return shifted - 12582912.0f;
  });
}
/// a * 2^n for integral n in [-126, 127].
inline F32 scale_by_pow2(F32 a, F32 n) {
  return lanes([&](int i) { return a.v[i] * __builtin_ldexpf(1.0f, static_cast<int>(n.v[i])); });
}
/// a where x >= bound, else 0.
inline F32 zero_below(F32 x, F32 bound, F32 a) {
  return lanes([&](int i) { return x.v[i] < bound.v[i] ? 0.0f : a.v[i]; });
}

}  // namespace vortex::portable
