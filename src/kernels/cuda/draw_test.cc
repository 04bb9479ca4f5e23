#include "kernels/cuda/draw.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "kernels/cuda/cuda_testing.h"

namespace vortex::cuda {
namespace {

using namespace testing;
using DrawTest = GpuTest;

std::vector<int32_t> draw(const std::vector<float>& logits, const std::vector<DrawRow>& draws, cudaStream_t stream) {
  const auto rows = static_cast<int>(draws.size()), vocab = static_cast<int>(logits.size() / draws.size());
  const auto logits_device = upload(logits);
  const auto draws_device = upload(draws);
  const DeviceArray<int32_t> tokens(rows);
  DrawScratch scratch(rows, vocab);
  scratch.run(logits_device.data(), draws_device.data(), rows, vocab, tokens.data(), stream);
  std::vector<int32_t> first = download(tokens);
  scratch.run(logits_device.data(), draws_device.data(), rows, vocab, tokens.data(), stream);
  EXPECT_EQ(download(tokens), first);  // nothing is left over
  return first;
}

/// The rules of sample/sampler.h by sorting, drawn in the order of tokens.
int32_t expected(std::span<const float> logits, const DrawRow& row) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto at = [&](int32_t token) { return logits[static_cast<size_t>(token)]; };
  std::ranges::stable_sort(order, [&](int32_t a, int32_t b) { return at(a) > at(b); });
  const int32_t best = order[0];
  if (row.temperature == 0.0f) return best;
  const auto weight = [&](int32_t t) { return std::exp((double{at(t)} - at(best)) / row.temperature); };
  if (row.top_k > 0 && static_cast<size_t>(row.top_k) < order.size()) order.resize(static_cast<size_t>(row.top_k));
  double total = 0, mass = 0;
  for (const int32_t token : order) total += weight(token);
  size_t kept = 0;
  do mass += weight(order[kept++]);
  while (kept < order.size() && (row.top_p >= 1 || mass < row.top_p * total) && weight(order[kept]) >= row.min_p);
  order.resize(kept);
  std::ranges::sort(order);
  double remaining = mass * row.uniform;
  for (const int32_t token : order)
    if ((remaining -= weight(token)) < 0) return token;
  return order.back();
}

/// Rows of `vocab` logits, all drawn as `rule` says but with other numbers.
void expect_draws(const DrawRow& rule, int rows, int vocab, float spread, cudaStream_t stream) {
  const auto logits = random_floats(int64_t{rows} * vocab, 7, spread);
  std::mt19937 generator(5);
  std::vector<DrawRow> draws(static_cast<size_t>(rows), rule);
  std::vector<int32_t> want;
  for (size_t r = 0; r < draws.size(); ++r) {
    draws[r].uniform = std::uniform_real_distribution<double>(0.0, 1.0)(generator);
    const auto size = static_cast<size_t>(vocab);
    want.push_back(expected(std::span(logits).subspan(r * size, size), draws[r]));
  }
  EXPECT_EQ(draw(logits, draws, stream), want);
}

TEST_F(DrawTest, LargestLogit) {
  expect_draws({}, 1, 151936, 3.0f, stream());
  expect_draws({}, 64, 5000, 3.0f, stream());
  expect_draws({}, 3, 1001, 3.0f, stream());
  expect_draws({}, 2, 7, 3.0f, stream());
}

TEST_F(DrawTest, LowestOfEqualLogits) {
  std::vector<float> logits(4096, -0.0f);
  logits[10] = 0.0f;  // equals minus zero
  EXPECT_EQ(draw(logits, {DrawRow{}}, stream()), std::vector<int32_t>{0});
  logits[4000] = logits[77] = logits[3000] = 2.0f;
  EXPECT_EQ(draw(logits, {DrawRow{}}, stream()), std::vector<int32_t>{77});
}

TEST_F(DrawTest, RefusesLogitsThatAreNotFinite) {
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<float> logits(4 * 1000, 1.0f);
  logits[500] = -infinity, logits[1999] = std::nanf(""), logits[2000] = infinity, logits[3123] = 2.0f;
  EXPECT_EQ(draw(logits, std::vector<DrawRow>(4), stream()), (std::vector<int32_t>{-2, -2, -2, 123}));
  EXPECT_EQ(draw(logits, std::vector<DrawRow>(4, DrawRow{.temperature = 1, .top_k = 1}), stream()),
            (std::vector<int32_t>{-2, -2, -2, 123}));
}

TEST_F(DrawTest, ByTemperature) {
  expect_draws({.temperature = 1.0f}, 32, 1000, 2.0f, stream());
  expect_draws({.temperature = 0.7f}, 8, 151936, 3.0f, stream());
  expect_draws({.temperature = 1.5f}, 8, 37, 1.0f, stream());
}

TEST_F(DrawTest, OfTheBestTokens) {
  expect_draws({.temperature = 1.0f, .top_k = 1}, 8, 5000, 2.0f, stream());
  expect_draws({.temperature = 1.0f, .top_k = 20}, 16, 32000, 2.0f, stream());
  expect_draws({.temperature = 1.0f, .top_k = 2000}, 8, 5000, 2.0f, stream());
}

TEST_F(DrawTest, OfAMass) {
  expect_draws({.temperature = 1.0f, .top_p = 0.9f}, 16, 32000, 3.0f, stream());
  expect_draws({.temperature = 1.0f, .top_p = 0.0f}, 8, 1000, 3.0f, stream());
  expect_draws({.temperature = 0.6f, .top_k = 20, .top_p = 0.95f}, 16, 151936, 3.0f, stream());
}

TEST_F(DrawTest, OfAShareOfTheBest) {
  expect_draws({.temperature = 1.0f, .min_p = 0.1f}, 16, 32000, 3.0f, stream());
  expect_draws({.temperature = 1.0f, .top_k = 50, .top_p = 0.8f, .min_p = 0.05f}, 16, 32000, 3.0f, stream());
}

/// Of equal logits at the border the lower tokens stay.
TEST_F(DrawTest, TiesAtTheBorder) {
  std::vector<float> logits(3000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i % 3);
  for (const double uniform : {0.0, 0.35, 0.62, 0.999}) {
    for (DrawRow row : {DrawRow{.temperature = 1, .top_k = 1500}, DrawRow{.temperature = 1, .top_p = 0.42f}}) {
      row.uniform = uniform;
      EXPECT_EQ(draw(logits, {row}, stream()), std::vector<int32_t>{expected(logits, row)});
    }
  }
}

TEST_F(DrawTest, RowsOfAllKindsTogether) {
  const auto logits = random_floats(4 * 2000, 3, 2.0f);
  const std::vector<DrawRow> draws{{},
                                   {.temperature = 1.0f, .uniform = 0.3},
                                   {.temperature = 0.5f, .top_k = 5, .uniform = 0.9},
                                   {.temperature = 2.0f, .top_p = 0.5f, .uniform = 0.6}};
  std::vector<int32_t> want;
  for (size_t r = 0; r < 4; ++r) want.push_back(expected(std::span(logits).subspan(r * 2000, 2000), draws[r]));
  EXPECT_EQ(draw(logits, draws, stream()), want);
}

}  // namespace
}  // namespace vortex::cuda
