// Conversions against facts of the formats: every 16-bit pattern, and the cases where rounding decides.
#include "tensor/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace vortex {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Value of a half from its fields alone: (-1)^s 2^(e-15) 1.m, subnormals 2^-14 0.m.
float half_by_definition(uint16_t h) {
  const int exponent = h >> 10 & 31, mantissa = h & 1023;
  const float magnitude = exponent == 0    ? std::ldexp(static_cast<float>(mantissa), -24)
                          : exponent == 31 ? (mantissa ? NAN : kInfinity)
                                           : std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
  return std::copysign(magnitude, h & 0x8000 ? -1.0f : 1.0f);
}

TEST(Half, EveryPatternDecodesByDefinition) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto h = static_cast<uint16_t>(bits);
    const float expected = half_by_definition(h), got = f16_to_f32(h);
    ASSERT_EQ(std::signbit(got), std::signbit(expected)) << bits;
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(got)) << bits;
    } else {
      ASSERT_EQ(got, expected) << bits;
    }
  }
}

TEST(Half, EveryPatternSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto h = static_cast<uint16_t>(bits);
    if (std::isnan(f16_to_f32(h))) {
      ASSERT_TRUE(std::isnan(f16_to_f32(f32_to_f16(f16_to_f32(h))))) << bits;
    } else {
      ASSERT_EQ(f32_to_f16(f16_to_f32(h)), h) << bits;
    }
    if (std::isnan(bf16_to_f32(h))) {
      ASSERT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(bf16_to_f32(h))))) << bits;
    } else {
      ASSERT_EQ(f32_to_bf16(bf16_to_f32(h)), h) << bits;
    }
  }
}

/// The midpoint of two neighbours goes to the even one; a hair beside it to the nearer.
template <uint16_t (*kRound)(float), float (*kWiden)(uint16_t)>
void check_midpoints(uint16_t largest_finite) {
  for (uint16_t low = 0; low < largest_finite; ++low) {
    const auto high = static_cast<uint16_t>(low + 1);
    const auto middle = static_cast<float>((static_cast<double>(kWiden(low)) + kWiden(high)) / 2);
    const uint16_t even = low % 2 == 0 ? low : high;
    ASSERT_EQ(kRound(middle), even) << low;
    ASSERT_EQ(kRound(std::nextafter(middle, 0.0f)), low);
    ASSERT_EQ(kRound(std::nextafter(middle, kInfinity)), high);
    ASSERT_EQ(kRound(-middle), even | 0x8000) << low;
  }
}

TEST(Half, RoundsToNearestEvenBetweenAllNeighbours) { check_midpoints<f32_to_f16, f16_to_f32>(0x7bff); }

TEST(Half, BrainFloatRoundsToNearestEvenBetweenAllNeighbours) { check_midpoints<f32_to_bf16, bf16_to_f32>(0x7f7f); }

TEST(Half, OverflowsToInfinityAtTheHalfwayPoint) {
  EXPECT_EQ(f32_to_f16(65519.996f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(-1e30f), 0xfc00);
  EXPECT_EQ(f32_to_f16(kInfinity), 0x7c00);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(f32_to_bf16(-kInfinity), 0xff80);
}

TEST(Half, UnderflowsToSignedZero) {
  EXPECT_EQ(f32_to_f16(0x1p-25f), 0x0000);
  EXPECT_EQ(f32_to_f16(std::nextafter(0x1p-25f, 1.0f)), 0x0001);
  EXPECT_EQ(f32_to_f16(-0x1p-26f), 0x8000);
  EXPECT_EQ(f32_to_f16(-0.0f), 0x8000);
}

TEST(Half, NanStaysNan) {
  for (uint32_t bits : {0x7f800001u, 0x7fc00000u, 0x7fffffffu, 0xff800001u}) {
    const auto nan = std::bit_cast<float>(bits);
    EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(nan)))) << bits;
    EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(nan)))) << bits;
  }
}

}  // namespace
}  // namespace vortex
