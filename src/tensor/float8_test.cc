#include "tensor/float8.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace vortex {
namespace {

struct Format {
  uint8_t (*encode)(float);
  float (*decode)(uint8_t);
  float largest;
};
const Format kFormats[] = {{f32_to_f8e4m3, f8e4m3_to_f32, 448.0f}, {f32_to_f8e5m2, f8e5m2_to_f32, 57344.0f}};

TEST(Float8, KnownCodes) {
  EXPECT_EQ(f8e4m3_to_f32(0x38), 1.0f);
  EXPECT_EQ(f8e4m3_to_f32(0x7e), 448.0f);
  EXPECT_EQ(f8e4m3_to_f32(0x01), 0x1p-9f);
  EXPECT_EQ(f8e5m2_to_f32(0x3c), 1.0f);
  EXPECT_EQ(f8e5m2_to_f32(0xfb), -57344.0f);
  EXPECT_EQ(f8e5m2_to_f32(0x01), 0x1p-16f);
  EXPECT_TRUE(std::isinf(f8e5m2_to_f32(0x7c)));
}

TEST(Float8, EveryFiniteCodeSurvives) {
  for (const Format& format : kFormats) {
    for (int code = 0; code < 256; ++code) {
      const float x = format.decode(static_cast<uint8_t>(code));
      if (std::isfinite(x)) {
        EXPECT_EQ(format.encode(x), code);
      }
    }
  }
}

TEST(Float8, NearestWithTiesToEven) {
  for (const Format& format : kFormats) {
    for (int code = 0; code < 0x7f; ++code) {
      const float low = format.decode(static_cast<uint8_t>(code)), high = format.decode(static_cast<uint8_t>(code + 1));
      if (!std::isfinite(high)) continue;
      const float middle = (low + high) / 2;
      EXPECT_EQ(format.encode(middle), code % 2 == 0 ? code : code + 1);
      EXPECT_EQ(format.encode(std::nextafter(middle, 0.0f)), code);
      EXPECT_EQ(format.encode(std::nextafter(middle, 1e9f)), code + 1);
    }
  }
}

TEST(Float8, Clamps) {
  for (const Format& format : kFormats) {
    EXPECT_EQ(format.decode(format.encode(1e30f)), format.largest);
    EXPECT_EQ(format.decode(format.encode(-std::numeric_limits<float>::infinity())), -format.largest);
    EXPECT_TRUE(std::isnan(format.decode(format.encode(std::numeric_limits<float>::quiet_NaN()))));
  }
}

}  // namespace
}  // namespace vortex
