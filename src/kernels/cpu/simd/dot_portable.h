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

template <class Code, int count>
inline I32 dot_codes(const Bytes* w, const int8_t* x) {
  I32 sum = {};
  for (int k = 0; k < count; ++k)
    for (int i = 0; i < kLanes; ++i)
      for (int c = 0; c < 4; ++c) sum.v[i] += static_cast<Code>(w[k].v[4 * i + c]) * x[4 * k + c];
  return sum;
}
template <int largest, int count>
inline I32 dot_unsigned(const Bytes* w, const int8_t* x) {
  return dot_codes<uint8_t, count>(w, x);
}
template <int largest, int count>
inline I32 dot_signed(const Bytes* w, const int8_t* x) {
  return dot_codes<int8_t, count>(w, x);
}

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
