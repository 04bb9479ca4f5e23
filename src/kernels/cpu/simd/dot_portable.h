// Any CPU. See dot.h.
#pragma once

#include <cstdint>

#include "kernels/cpu/simd/portable.h"

namespace vortex::portable {

struct Bytes {
  uint8_t v[4 * kLanes];
};
struct I32 {
  int32_t v[kLanes];
};

template <class Byte>
inline Bytes bytes(Byte byte) {
  Bytes r;
  for (int i = 0; i < 4 * kLanes; ++i) r.v[i] = static_cast<uint8_t>(byte(i));
  return r;
}

inline Bytes load_bytes(const uint8_t* p) {
  return bytes([=](int i) { return p[i]; });
}
template <int shift, int mask>
inline Bytes bits(const Bytes& b) {
  if constexpr (shift < 0)
    return bytes([&](int i) { return (b.v[i] << -shift) & mask; });
  else
    return bytes([&](int i) { return (b.v[i] >> shift) & mask; });
}
inline Bytes merge(const Bytes& a, const Bytes& b) {
  return bytes([&](int i) { return a.v[i] | b.v[i]; });
}
template <int n>
inline Bytes minus(const Bytes& b) {
  return bytes([&](int i) { return b.v[i] - n; });
}

inline F32 to_f32(const I32& a) {
  return lanes([&](int i) { return static_cast<float>(a.v[i]); });
}

inline I32 operator+(I32 a, const I32& b) {
  for (int i = 0; i < kLanes; ++i) a.v[i] += b.v[i];
  return a;
}

struct Columns {
  int8_t v[4];
};
inline Columns columns(const int8_t* x) { return {{x[0], x[1], x[2], x[3]}}; }

using Sums = I32;
template <int largest>
constexpr int kSumProducts = 1 << 12;
inline Sums no_sums() { return {}; }
template <class Code>
inline Sums add_codes(Sums sums, const Bytes& w, const Columns& x) {
  for (int i = 0; i < kLanes; ++i)
    for (int c = 0; c < 4; ++c) sums.v[i] += static_cast<Code>(w.v[4 * i + c]) * x.v[c];
  return sums;
}
inline Sums add_unsigned(const Sums& sums, const Bytes& w, const Columns& x) { return add_codes<uint8_t>(sums, w, x); }
inline Sums add_signed(const Sums& sums, const Bytes& w, const Columns& x) { return add_codes<int8_t>(sums, w, x); }
inline I32 widen(const Sums& sums) { return sums; }

inline F32 load_u8(const uint8_t* p) {
  return lanes([=](int i) { return static_cast<float>(p[i]); });
}
inline F32 load_i8(const uint8_t* p) {
  return lanes([=](int i) { return static_cast<float>(static_cast<int8_t>(p[i])); });
}
inline void store_i8(int8_t* p, F32 a) {
  for (int i = 0; i < kLanes; ++i) p[i] = static_cast<int8_t>(static_cast<int>(a.v[i]));
}

}  // namespace vortex::portable
