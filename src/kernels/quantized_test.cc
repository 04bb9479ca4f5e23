#include "kernels/quantized.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/testing/random_weights.h"
#include "tensor/half.h"
#include "tensor/quant_blocks.h"

namespace vortex::kernels {
namespace {

using testing::random_matrix;

constexpr int kBlock = 32;

std::vector<float> decoded(const TensorView& view) {
  std::vector<float> values(static_cast<size_t>(view.shape.elements()));
  dequantize(view.dtype, view.data, values.data(), view.shape.elements());
  return values;
}

/// The scale of a block before it is rounded to float16, by the format's definition.
double scale_of(const float* x, DType to) {
  double largest = 0.0;
  for (int i = 0; i < kBlock; ++i)
    if (std::abs(x[i]) > std::abs(largest)) largest = x[i];
  return to == DType::kQ8_0 ? std::abs(largest) / 127 : largest / -8;
}

/// Every value of `got` is the stored scale times a code nearest to the value it was made from; of two codes that are
/// equally near, within rounding, either will do.
void expect_by_definition(const std::vector<float>& values, const std::vector<float>& got, DType to) {
  const double least = to == DType::kQ8_0 ? -127 : -8, most = to == DType::kQ8_0 ? 127 : 7;
  for (size_t i = 0; i < values.size(); ++i) {
    const double scale = scale_of(&values[i / kBlock * kBlock], to);
    const double stored = f16_to_f32(f32_to_f16(static_cast<float>(scale)));
    if (stored == 0.0) {
      EXPECT_EQ(got[i], 0.0f);
      continue;
    }
    const double code = got[i] / stored, exact = std::clamp(values[i] / scale, least, most);
    EXPECT_EQ(code, std::nearbyint(code)) << "value " << i;
    EXPECT_LE(std::abs(code - exact), 0.5 + 1e-4) << "value " << i << ": " << values[i] << " became " << got[i];
  }
}

/// One row of float32, quantised.
Result<OwnedTensor> quantized_row(const std::vector<float>& row, DType to) {
  WorkerPool pool(1);
  return quantized(
      {reinterpret_cast<const std::byte*>(row.data()), DType::kF32, Shape{1, static_cast<int64_t>(row.size())}}, to,
      &pool);
}

std::vector<float> round_trip(const std::vector<float>& row, DType to) {
  return decoded(quantized_row(row, to).value().view);
}

class QuantizedTest : public ::testing::TestWithParam<DType> {};

TEST_P(QuantizedTest, EveryFloatTypeByTheDefinitionOnAnyNumberOfThreads) {
  for (const DType from : {DType::kF32, DType::kF16, DType::kBF16})
    for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{1, 32}, {3, 64}, {37, 320}}) {
      const auto source = random_matrix(from, rows, cols, 5);
      WorkerPool one(1), three(3);
      const OwnedTensor made = quantized(source.view, GetParam(), &one).value();
      ASSERT_EQ(made.view.dtype, GetParam());
      ASSERT_EQ(made.view.shape, source.view.shape);
      expect_by_definition(decoded(source.view), decoded(made.view), GetParam());
      const OwnedTensor same = quantized(source.view, GetParam(), &three).value();
      EXPECT_EQ(std::memcmp(made.view.data, same.view.data, static_cast<size_t>(made.view.bytes())), 0);
    }
}

TEST_P(QuantizedTest, ZerosAndValuesBelowTheSmallestScaleAreZeros) {
  const float tiniest = std::numeric_limits<float>::denorm_min();
  for (const float value : {0.0f, -0.0f, tiniest, -tiniest, 1e-38f, 1e-10f}) {
    std::vector<float> row(64, value);
    row[40] = 1.0f;  // the neighbouring block is not affected
    const std::vector<float> got = round_trip(row, GetParam());
    for (size_t i = 0; i < 32; ++i) EXPECT_EQ(got[i], 0.0f) << value;
    EXPECT_NEAR(got[40], 1.0f, 1e-3);
  }
}

TEST_P(QuantizedTest, ScalesThatAreSubnormalHalvesFollowTheDefinition) {
  for (const float size : {1e-3f, 1e-4f, 1e-5f, 1e-6f}) {
    std::vector<float> row;
    for (int i = 0; i < kBlock; ++i) row.push_back(size * std::sin(static_cast<float>(i)));
    expect_by_definition(row, round_trip(row, GetParam()), GetParam());
  }
}

TEST_P(QuantizedTest, TheLargestMagnitudeKeepsItsSignAndValue) {
  for (const float sign : {1.0f, -1.0f}) {
    std::vector<float> row(32, 0.125f);
    row[7] = sign * 2.0f;
    const std::vector<float> got = round_trip(row, GetParam());
    EXPECT_NEAR(got[7], sign * 2.0f, 2.0f / 2048);
    expect_by_definition(row, got, GetParam());
  }
}

TEST_P(QuantizedTest, RefusesWhatNoScaleHolds) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float value : {infinity, -infinity, std::nanf(""), -std::nanf(""), 1e38f, -1e9f}) {
    const std::vector<float> good(64, 1.0f);
    std::vector<float> bad = good;
    bad[33] = value;
    std::vector<float> all = good;
    all.insert(all.end(), bad.begin(), bad.end());
    all.insert(all.end(), bad.begin(), bad.end());
    WorkerPool pool(3);
    const TensorView view{reinterpret_cast<const std::byte*>(all.data()), DType::kF32, Shape{3, 64}};
    const auto made = quantized(view, GetParam(), &pool);
    ASSERT_FALSE(made.ok()) << value;
    EXPECT_EQ(made.error().code, ErrorCode::kDataLoss);
    EXPECT_EQ(made.error().message,
              fmt::format("row 1 holds a value that is infinite, not a number or too large for {}",
                          dtype_info(GetParam()).name));
  }
}

TEST_P(QuantizedTest, RefusesRowsThatAreNoMultipleOfABlock) {
  const auto made = quantized_row(std::vector<float>(48, 1.0f), GetParam());
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().message,
            fmt::format("48 columns are not a multiple of the 32 elements of a {} block", dtype_info(GetParam()).name));
}

INSTANTIATE_TEST_SUITE_P(Types, QuantizedTest, ::testing::Values(DType::kQ8_0, DType::kQ4_0),
                         [](const auto& test) { return std::string(dtype_info(test.param).name); });

TEST(QuantizedQ4Test, OfOppositeLargestTheFirstIsExact) {
  for (const float sign : {1.0f, -1.0f}) {
    std::vector<float> row(32, 0.0f);
    row[3] = sign * 4.0f;
    row[20] = -sign * 4.0f;
    const std::vector<float> got = round_trip(row, DType::kQ4_0);
    EXPECT_EQ(got[3], sign * 4.0f);
    EXPECT_EQ(got[20], -sign * 3.5f);  // 8 has no code
  }
}

}  // namespace
}  // namespace vortex::kernels
