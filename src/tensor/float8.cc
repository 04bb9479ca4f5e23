#include "tensor/float8.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace vortex {
namespace {

struct Format {
  int mantissa;  // bits
  int bias;
  float largest;
};
constexpr Format kE4M3 = {3, 7, 448.0f}, kE5M2 = {2, 15, 57344.0f};

uint8_t encode(const Format& format, float x) {
  const auto sign = static_cast<uint8_t>(std::bit_cast<uint32_t>(x) >> 24 & 0x80u);
  if (x != x) return sign | 0x7f;
  const float magnitude = std::min(std::fabs(x), format.largest);
  const float smallest_normal = std::ldexp(1.0f, 1 - format.bias);
  if (magnitude < smallest_normal) {  // rint may reach the first normal number, whose code follows
    const float steps = std::rint(std::ldexp(magnitude, format.bias - 1 + format.mantissa));
    return sign | static_cast<uint8_t>(steps);
  }
  const int drop = 23 - format.mantissa;
  uint32_t bits = std::bit_cast<uint32_t>(magnitude);
  bits += (1u << (drop - 1)) - 1 + (bits >> drop & 1u);
  return sign | static_cast<uint8_t>((bits >> drop) - (static_cast<uint32_t>(127 - format.bias) << format.mantissa));
}

float decode(const Format& format, uint8_t x) {
  const int exponent = (x & 0x7f) >> format.mantissa, fraction = x & ((1 << format.mantissa) - 1);
  const float whole = exponent == 0 ? 0.0f : 1.0f;
  const float value = std::ldexp(whole + std::ldexp(static_cast<float>(fraction), -format.mantissa),
                                 std::max(exponent, 1) - format.bias);
  return (x & 0x80) != 0 ? -value : value;
}

}  // namespace

uint8_t f32_to_f8e4m3(float x) { return encode(kE4M3, x); }
uint8_t f32_to_f8e5m2(float x) { return encode(kE5M2, x); }

float f8e4m3_to_f32(uint8_t x) {
  return (x & 0x7f) == 0x7f ? std::numeric_limits<float>::quiet_NaN() : decode(kE4M3, x);
}

float f8e5m2_to_f32(uint8_t x) {
  if ((x & 0x7f) > 0x7c) return std::numeric_limits<float>::quiet_NaN();
  if ((x & 0x7f) == 0x7c) return std::copysign(std::numeric_limits<float>::infinity(), (x & 0x80) != 0 ? -1.0f : 1.0f);
  return decode(kE5M2, x);
}

}  // namespace vortex
