#include "tensor/codes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "tensor/half.h"

namespace vortex {
namespace {

struct Case {
  DType dtype;
  int rows, cols;
};

std::vector<float> gaussian(size_t n) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal(0.0f, 3.0f);
  std::vector<float> x(n);
  for (float& v : x) v = normal(random);
  return x;
}

std::vector<float> round_trip(const CodeLayout& layout, const std::vector<float>& x) {
  std::vector<std::byte> page(static_cast<size_t>(layout.page_bytes()), std::byte{0xa5});
  std::vector<float> out(x.size());
  encode_page(layout, x.data(), page.data());
  decode_page(layout, page.data(), out.data());
  return out;
}

/// The smallest bfloat16 number that is not below x.
float bf16_at_least(double x) {
  float out = round_to_bf16(static_cast<float>(x));
  if (out < x) out = bf16_to_f32(static_cast<uint16_t>(f32_to_bf16(out) + 1));
  return out;
}

double largest(const float* x, int n) {
  double best = 0;
  for (int i = 0; i < n; ++i) best = std::max(best, std::abs(double{x[i]}));
  return best;
}

double stored_step8(const float* x, int n) { return bf16_at_least(largest(x, n) / 127); }

/// The definition of a row's codes (but of 8 bits plus 1/2) and of the step that fits them, in double.
std::vector<double> centres(DType dtype, const float* x, int n) {
  double squares = 0;
  for (int i = 0; i < n; ++i) squares += double{x[i]} * x[i];
  std::vector<double> out;
  if (dtype == DType::kCode8) {
    const double step = stored_step8(x, n);
    for (int i = 0; i < n; ++i) out.push_back(std::nearbyint(x[i] / step));
    return out;
  }
  const double half = (1 << code_bits(dtype)) / 2;
  const double step = dtype == DType::kCode2 ? 0.9957 * std::sqrt(squares / n) : largest(x, n) / half;
  for (int i = 0; i < n; ++i) out.push_back(std::clamp(std::floor(x[i] / step), -half, half - 1) + 0.5);
  return out;
}

double fitted_step(const float* x, const std::vector<double>& c) {
  double xc = 0, cc = 0;
  for (size_t i = 0; i < c.size(); ++i) {
    xc += x[i] * c[i];
    cc += c[i] * c[i];
  }
  return xc / cc;
}

class CodesTest : public testing::TestWithParam<Case> {};

TEST_P(CodesTest, ValuesAreTheDefinitions) {
  const auto [dtype, rows, cols] = GetParam();
  const std::vector<float> x = gaussian(static_cast<size_t>(rows) * static_cast<size_t>(cols));
  const std::vector<float> y = round_trip(CodeLayout(dtype, rows, cols), x);
  for (int r = 0; r < rows; ++r) {
    const float* row = x.data() + r * cols;
    const std::vector<double> c = centres(dtype, row, cols);
    const double step = dtype == DType::kCode8 ? stored_step8(row, cols) : fitted_step(row, c);
    int off = 0;
    for (int i = 0; i < cols; ++i) {
      const double error = std::abs(y[static_cast<size_t>(r * cols + i)] - c[static_cast<size_t>(i)] * step);
      off += error > step * std::abs(c[static_cast<size_t>(i)]) * 0x1p-8;  // the step is stored in bfloat16
      EXPECT_LE(error, step * (1 + std::abs(c[static_cast<size_t>(i)]) * 0x1p-8));
    }
    EXPECT_LE(off, cols / 500) << "row " << r;  // a number on the border of two codes may fall to either
  }
}

std::vector<Case> cases() {
  std::vector<Case> out;
  for (DType dtype : {DType::kCode8, DType::kCode4, DType::kCode2, DType::kCode1})
    for (auto [rows, cols] : {std::pair{16, 64}, {16, 72}, {32, 576}, {1, 128}, {8, 33}, {3, 1}, {16, 5}, {48, 1030}})
      out.push_back({dtype, rows, cols});
  return out;
}
INSTANTIATE_TEST_SUITE_P(Layouts, CodesTest, testing::ValuesIn(cases()));

TEST(Codes, BytesOfAPage) {
  EXPECT_EQ(CodeLayout(DType::kCode2, 16, 64).page_bytes(), 16 * 16 + 32);
  EXPECT_EQ(CodeLayout(DType::kCode1, 16, 64).page_bytes(), 16 * 8 + 32);
  EXPECT_EQ(CodeLayout(DType::kCode1, 32, 576).page_bytes(), 32 * 72 + 64);
  EXPECT_EQ(CodeLayout(DType::kCode8, 1, 128).page_bytes(), 130);
  EXPECT_EQ(CodeLayout(DType::kCode1, 1, 3).page_bytes(), 4);  // padded: steps are 16-bit numbers
}

TEST(Codes, RowsOfEightBitsAreWrittenAndReadAlone) {
  constexpr int kRows = 16, kCols = 37;
  const CodeLayout layout(DType::kCode8, kRows, kCols);
  const std::vector<float> x = gaussian(kRows * kCols);
  std::vector<std::byte> page(static_cast<size_t>(layout.page_bytes()), std::byte{0xff}), one = page;
  encode_page(layout, x.data(), page.data());
  const int64_t at = 5 * code_row_bytes(kCols);
  encode_row(x.data() + 5 * kCols, kCols, one.data() + at);
  for (int64_t i = 0; i < layout.page_bytes(); ++i)
    EXPECT_EQ(one[static_cast<size_t>(i)],
              i >= at && i < at + code_row_bytes(kCols) ? page[static_cast<size_t>(i)] : std::byte{0xff});
  std::vector<float> values(kRows * kCols), some(11, NAN);
  decode_page(layout, page.data(), values.data());
  decode_row(page.data() + at, kCols, 10, some.data());
  EXPECT_TRUE(std::equal(some.begin(), some.end() - 1, values.begin() + 5 * kCols));
  EXPECT_TRUE(std::isnan(some.back()));
}

TEST(Codes, EightBitsAreHalfAStepOff) {
  for (const float scale : {1.0f, 1e-30f, 1e30f, 0.9999f}) {
    std::vector<float> x = gaussian(64 * 64);
    for (float& v : x) v *= scale;
    const std::vector<float> y = round_trip(CodeLayout(DType::kCode8, 64, 64), x);
    for (int r = 0; r < 64; ++r) {
      const double step = stored_step8(x.data() + r * 64, 64);
      for (size_t i = static_cast<size_t>(r) * 64; i < static_cast<size_t>(r + 1) * 64; ++i)
        EXPECT_NEAR(y[i], x[i], step * 0.50002) << scale;
    }
  }
}

TEST(Codes, NamesOfTheTypesOfACache) {
  EXPECT_EQ(parse_kv_dtype("int8"), DType::kCode8);
  EXPECT_EQ(parse_kv_dtype("bfloat16"), DType::kBF16);
  EXPECT_EQ(parse_kv_dtype("int3"), std::nullopt);
}

TEST(Codes, SignOfZeroIsPlus) {
  const std::vector<float> y = round_trip(CodeLayout(DType::kCode1, 1, 4), {0.0f, -2.0f, 4.0f, -0.0f});
  EXPECT_EQ(y, (std::vector<float>{1.5f, -1.5f, 1.5f, 1.5f}));
}

TEST(Codes, ZerosStayZero) {
  for (DType dtype : {DType::kCode8, DType::kCode4, DType::kCode2, DType::kCode1})
    for (float v : round_trip(CodeLayout(dtype, 16, 8), std::vector<float>(128, 0.0f))) EXPECT_EQ(v, 0.0f);
}

TEST(Codes, NaNSpoilsItsRowOnly) {
  for (DType dtype : {DType::kCode8, DType::kCode4, DType::kCode2, DType::kCode1}) {
    std::vector<float> x = gaussian(16 * 8);
    x[8 * 3 + 2] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<float> y = round_trip(CodeLayout(dtype, 16, 8), x);
    for (int i = 0; i < 16 * 8; ++i) EXPECT_EQ(std::isnan(y[static_cast<size_t>(i)]), i / 8 == 3);
  }
}

TEST(Codes, TwoBitsKeepAGaussian) {
  const std::vector<float> x = gaussian(16 * 1024);
  const std::vector<float> y = round_trip(CodeLayout(DType::kCode2, 16, 1024), x);
  double error = 0, power = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    error += std::pow(double{x[i]} - y[i], 2);
    power += std::pow(double{x[i]}, 2);
  }
  EXPECT_NEAR(error / power, 0.1188, 0.004);  // Max's table for four equal steps
}

}  // namespace
}  // namespace vortex
