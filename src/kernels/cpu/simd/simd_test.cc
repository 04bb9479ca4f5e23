// The vector functions of every instruction set this machine has, against scalar arithmetic.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/cpu_features.h"
#include "kernels/cpu/simd/simd_test_functions.h"
#include "tensor/half.h"

namespace vortex {
namespace portable {
extern const simd_test::Functions kSimdTestFunctions;
}
#if defined(__x86_64__)
namespace avx2 {
extern const simd_test::Functions kSimdTestFunctions;
}
namespace avx512 {
extern const simd_test::Functions kSimdTestFunctions;
}
#elif defined(__aarch64__)
namespace neon {
extern const simd_test::Functions kSimdTestFunctions;
}
#endif

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr int kMost = 16;  // lanes of the widest vector

const simd_test::Functions& functions_of(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return avx512::kSimdTestFunctions;
  if (isa == Isa::kAvx2) return avx2::kSimdTestFunctions;
#elif defined(__aarch64__)
  if (isa == Isa::kNeon) return neon::kSimdTestFunctions;
#endif
  (void)isa;
  return portable::kSimdTestFunctions;
}

class SimdTest : public ::testing::TestWithParam<Isa> {
 protected:
  const simd_test::Functions& f = functions_of(GetParam());

  std::vector<float> exp(const std::vector<float>& x) const {
    std::vector<float> in = x, out(x.size() + kMost);
    in.resize(x.size() + kMost);
    for (size_t i = 0; i < x.size(); i += static_cast<size_t>(f.lanes)) f.exp(&in[i], &out[i]);
    out.resize(x.size());
    return out;
  }
};

std::vector<float> random_floats(float low, float high, size_t n) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(low, high);
  std::vector<float> x(n);
  for (float& value : x) value = uniform(random);
  return x;
}

TEST_P(SimdTest, ExpIsWithinThreeTenMillionthsOverItsRange) {
  std::vector<float> x = random_floats(-87.0f, 88.0f, 1 << 18);
  for (int i = 0; i < 1000; ++i) x.push_back(1e-8f * static_cast<float>(i - 500));
  x.insert(x.end(), {-87.0f, 88.0f, 0.0f, -0.0f, 0.34657359f, -0.34657359f});
  const std::vector<float> got = exp(x);
  double worst = 0.0;
  for (size_t i = 0; i < x.size(); ++i) worst = std::max(worst, std::fabs(got[i] / std::exp(double{x[i]}) - 1.0));
  EXPECT_LT(worst, 3e-7);
}

TEST_P(SimdTest, ExpAtItsEnds) {
  const std::vector<float> got = exp({-kInfinity, -1e30f, -104.0f, -87.4f, 0.0f, 89.0f, kInfinity});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(got[static_cast<size_t>(i)], 0.0f);
  EXPECT_EQ(got[4], 1.0f);
  EXPECT_GT(got[5], 2e38f);
  EXPECT_GT(got[6], 2e38f);
}

TEST_P(SimdTest, ArithmeticIsElementwise) {
  const std::vector<float> a = random_floats(-3, 3, kMost), b = random_floats(1, 2, kMost),
                           c = random_floats(-9, 9, kMost);
  std::vector<float> out(7 * kMost);
  f.arithmetic(a.data(), b.data(), c.data(), out.data());
  for (int i = 0; i < f.lanes; ++i) {
    const auto at = [&](int op) { return out[static_cast<size_t>(op * f.lanes + i)]; };
    const float x = a[static_cast<size_t>(i)], y = b[static_cast<size_t>(i)], z = c[static_cast<size_t>(i)];
    EXPECT_EQ(at(0), x + y);
    EXPECT_EQ(at(1), x - y);
    EXPECT_EQ(at(2), x * y);
    EXPECT_EQ(at(3), x / y);
    EXPECT_EQ(at(4), std::max(x, y));
    EXPECT_EQ(at(5), std::min(x, y));
    EXPECT_NEAR(at(6), double{x} * y + z, 2e-6);
    if (GetParam() != Isa::kPortable) {
      EXPECT_EQ(at(6), std::fma(x, y, z));
    }
  }
}

TEST_P(SimdTest, ReductionsSeeEveryLane) {
  for (int lane = 0; lane < f.lanes; ++lane) {
    std::vector<float> x(kMost, 1.0f);
    x[static_cast<size_t>(lane)] = 5.0f;
    float out[2];
    f.reduce(x.data(), out);
    EXPECT_EQ(out[0], static_cast<float>(f.lanes) + 4.0f);
    EXPECT_EQ(out[1], 5.0f);
    x.assign(kMost, -3.0f);
    x[static_cast<size_t>(lane)] = -2.0f;
    f.reduce(x.data(), out);
    EXPECT_EQ(out[1], -2.0f);
  }
}

TEST_P(SimdTest, PartialLoadsAndStoresTouchOnlyTheFirstLanes) {
  const std::vector<float> x = random_floats(1, 2, kMost);
  for (int n = 0; n < f.lanes; ++n) {
    // Exactly n floats on the heap: a read past them is an error under AddressSanitizer.
    const std::vector<float> exact(x.begin(), x.begin() + n);
    std::vector<float> loaded(kMost, -1.0f), stored(kMost, -1.0f);
    f.copy_n(exact.data(), n, loaded.data());
    f.store_n(x.data(), n, stored.data());
    for (int i = 0; i < f.lanes; ++i) {
      EXPECT_EQ(loaded[static_cast<size_t>(i)], i < n ? x[static_cast<size_t>(i)] : 0.0f);
      EXPECT_EQ(stored[static_cast<size_t>(i)], i < n ? x[static_cast<size_t>(i)] : -1.0f);
    }
  }
}

bool same(float a, float b) { return std::memcmp(&a, &b, 4) == 0 || (std::isnan(a) && std::isnan(b)); }

TEST_P(SimdTest, LoadsEveryHalf) {
  for (uint32_t first = 0; first < 65536; first += 2 * kMost) {
    uint16_t halves[2 * kMost];
    for (uint32_t i = 0; i < 2 * kMost; ++i) halves[i] = static_cast<uint16_t>(first + i);
    float bf16[kMost], f16[kMost], pair[2 * kMost];
    f.load_bf16(halves, bf16);
    f.load_f16(halves, f16);
    f.load_bf16_pair(halves, pair);
    for (int i = 0; i < f.lanes; ++i) {
      ASSERT_TRUE(same(bf16[i], bf16_to_f32(halves[i]))) << halves[i];
      ASSERT_TRUE(same(f16[i], f16_to_f32(halves[i]))) << halves[i];
      ASSERT_TRUE(same(pair[i], bf16_to_f32(halves[2 * i])));
      ASSERT_TRUE(same(pair[f.lanes + i], bf16_to_f32(halves[2 * i + 1])));
    }
  }
}

TEST_P(SimdTest, StoresBf16RoundedToNearestEven) {
  std::vector<float> x = {0.0f, -0.0f, kInfinity, -kInfinity, kNan, 1.0f, std::numeric_limits<float>::max(), 1e-42f};
  for (const uint32_t low : {0x0000u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu})
    for (const uint32_t high : {0x3f80u, 0x3f81u, 0xbfffu, 0x0001u, 0x7f7fu, 0x7f80u, 0xffc1u})
      x.push_back(std::bit_cast<float>(high << 16 | low));
  std::mt19937 random(2);
  while (x.size() % kMost != 0 || x.size() < 4096) x.push_back(std::bit_cast<float>(static_cast<uint32_t>(random())));
  for (size_t at = 0; at < x.size(); at += static_cast<size_t>(f.lanes)) {
    uint16_t got[kMost];
    f.store_bf16(&x[at], got);
    for (int i = 0; i < f.lanes; ++i)
      ASSERT_EQ(got[i], f32_to_bf16(x[at + static_cast<size_t>(i)])) << x[at + static_cast<size_t>(i)];
  }
}

TEST_P(SimdTest, RoundScaleAndMask) {
  const float x[kMost] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, 3.49f, -3.51f, 1000.5f, 0.0f, 1, 2, 3, 4, 5, 6, 7};
  float out[kMost], n[kMost], bound[kMost];
  f.round_nearest(x, out);
  for (int i = 0; i < f.lanes; ++i) EXPECT_EQ(out[i], std::nearbyint(x[i]));
  for (int i = 0; i < kMost; ++i) n[i] = static_cast<float>(i % 2 ? 127 - i : i - 126);
  f.scale_by_pow2(x, n, out);
  for (int i = 0; i < f.lanes; ++i) EXPECT_EQ(out[i], std::ldexp(x[i], static_cast<int>(n[i])));
  for (int i = 0; i < kMost; ++i) bound[i] = i % 3 == 0 ? x[i] : i % 3 == 1 ? x[i] + 1.0f : x[i] - 1.0f;
  f.zero_below(x, bound, n, out);
  for (int i = 0; i < f.lanes; ++i) EXPECT_EQ(out[i], i % 3 == 1 ? 0.0f : n[i]);
}

TEST_P(SimdTest, BytesToFloatsAndBack) {
  for (int first = 0; first < 256; first += kMost) {
    uint8_t in[kMost];
    for (int i = 0; i < kMost; ++i) in[i] = static_cast<uint8_t>(first + i);
    float out[2 * kMost];
    f.bytes_to_float(in, out);
    int8_t back[kMost];
    f.store_i8(out + f.lanes, back);
    for (int i = 0; i < f.lanes; ++i) {
      EXPECT_EQ(out[i], static_cast<float>(in[i]));
      EXPECT_EQ(out[f.lanes + i], static_cast<float>(static_cast<int8_t>(in[i])));
      EXPECT_EQ(back[i], static_cast<int8_t>(in[i]));
    }
  }
}

TEST_P(SimdTest, FieldsOfBytes) {
  for (int first = 0; first < 256; first += 4 * kMost) {
    uint8_t in[4 * kMost], out[16 * kMost];
    for (int i = 0; i < 4 * kMost; ++i) in[i] = static_cast<uint8_t>(first + i);
    f.byte_fields(in, out);
    const int bytes = 4 * f.lanes;
    for (int i = 0; i < bytes; ++i) {
      EXPECT_EQ(out[i], in[i] & 15);
      EXPECT_EQ(out[bytes + i], in[i] >> 4);
      EXPECT_EQ(out[2 * bytes + i], (in[i] & 3) << 4);
      EXPECT_EQ(out[3 * bytes + i], static_cast<uint8_t>(in[i] - 32));
    }
  }
}

struct DotCase {
  void (*simd_test::Functions::*dot)(const uint8_t*, const int8_t*, float*);
  int vectors, low, high;
};

TEST_P(SimdTest, DotProductsAreExact) {
  const DotCase cases[] = {{&simd_test::Functions::dot_u4, 8, 0, 15},
                           {&simd_test::Functions::dot_u5, 8, 0, 31},
                           {&simd_test::Functions::dot_i6, 4, -32, 31},
                           {&simd_test::Functions::dot_i8, 8, -128, 127}};
  std::mt19937 random(3);
  for (const DotCase& c : cases) {
    for (int trial = 0; trial < 200; ++trial) {
      // The first trials sit at the corners, where a 16-bit sum would overflow first.
      const auto pick = [&](int low, int high) {
        if (trial < 4) return (trial & 1) != 0 ? high : low;
        return trial < 20 ? (random() % 2 != 0 ? high : low)
                          : low + static_cast<int>(random() % static_cast<uint32_t>(high - low + 1));
      };
      uint8_t codes[8 * 4 * kMost];
      int8_t x[32];
      for (uint8_t& code : codes) code = static_cast<uint8_t>(pick(c.low, c.high));
      for (int8_t& value : x) value = static_cast<int8_t>(trial < 2 ? 127 : trial < 4 ? -127 : pick(-127, 127));
      float out[kMost];
      (f.*c.dot)(codes, x, out);
      for (int lane = 0; lane < f.lanes; ++lane) {
        int want = 0;
        for (int k = 0; k < c.vectors; ++k)
          for (int j = 0; j < 4; ++j) {
            const uint8_t code = codes[(k * f.lanes + lane) * 4 + j];
            want += (c.low < 0 ? static_cast<int8_t>(code) : code) * x[4 * k + j];
          }
        ASSERT_EQ(out[lane], static_cast<float>(want)) << "codes up to " << c.high << ", lane " << lane;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, SimdTest, ::testing::ValuesIn(available_isas(cpu_features())),
                         [](const auto& isa) { return std::string(isa_name(isa.param)); });

}  // namespace
}  // namespace vortex
