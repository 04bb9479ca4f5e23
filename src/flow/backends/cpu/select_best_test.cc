#include "flow/backends/cpu/select_best.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "tensor/half.h"

namespace vortex::flow {
namespace {

std::vector<int32_t> best(const std::vector<float>& score, int64_t k, bool* nan = nullptr) {
  std::vector<uint32_t> keys;
  std::vector<int32_t> out(static_cast<size_t>(k), -1);
  const bool found = select_best(score.data(), static_cast<int64_t>(score.size()), k, 0.0f, &keys, out.data());
  if (nan != nullptr) *nan = found;
  return out;
}

/// By a stable sort.
std::vector<int32_t> sorted_best(const std::vector<float>& score, int64_t k) {
  std::vector<int32_t> order(score.size());
  std::iota(order.begin(), order.end(), 0);
  const auto rank = [&](int32_t i) {
    const float x = score[static_cast<size_t>(i)];
    return std::isnan(x) ? -std::numeric_limits<double>::infinity() : std::clamp(double{x}, -1e300, 1e300);
  };
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return rank(a) > rank(b); });
  order.resize(static_cast<size_t>(k));
  std::sort(order.begin(), order.end());
  return order;
}

TEST(SelectBest, EqualsASortOnScoresWithTies) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::vector<float> score(1 + random() % 3000);
    for (float& x : score) {
      x = std::normal_distribution<float>()(random);
      if (round % 3 == 0) x = round_to_bf16(x);
      if (round % 3 == 1) x = static_cast<float>(random() % 4) - 2.0f;
      if (round % 7 == 0 && random() % 5 == 0) x = std::numeric_limits<float>::quiet_NaN();
      if (round % 11 == 0 && random() % 5 == 0)
        x = std::numeric_limits<float>::infinity() * (random() % 2 ? 1.0f : -1.0f);
    }
    const auto k = static_cast<int64_t>(random() % (score.size() + 1));
    EXPECT_EQ(best(score, k), sorted_best(score, k)) << "round " << round;
  }
}

TEST(SelectBest, EdgesOfTheOrder) {
  const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(best({0.0f, -0.0f, 0.0f}, 2), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(best({-0.0f, 0.0f}, 1), (std::vector<int32_t>{0}));
  bool found = false;
  EXPECT_EQ(best({nan, -inf, -nan, 1.0f}, 2, &found), (std::vector<int32_t>{1, 3}));
  EXPECT_TRUE(found);
  EXPECT_EQ(best({nan, nan, nan}, 2), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(best({1.0f}, 0, &found), std::vector<int32_t>{});
  EXPECT_FALSE(found);
}

TEST(SelectBest, ToleranceKeepsItsShare) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  for (int round = 0; round < 200; ++round) {
    std::vector<float> score(static_cast<size_t>(50 + random() % 400));
    for (float& x : score) x = round_to_bf16(normal(random));
    const auto k = static_cast<int64_t>(1 + random() % (score.size() - 1));
    for (float tolerance : {0.0f, 0.1f, 0.5f, 1.0f}) {
      std::vector<uint32_t> keys;
      std::vector<int32_t> out(static_cast<size_t>(k));
      select_best(score.data(), static_cast<int64_t>(score.size()), k, tolerance, &keys, out.data());
      const std::vector<int32_t> exact = sorted_best(score, k);
      std::vector<int32_t> common;
      std::set_intersection(out.begin(), out.end(), exact.begin(), exact.end(), std::back_inserter(common));
      EXPECT_GE(static_cast<double>(common.size()), std::ceil((1.0 - double{tolerance}) * static_cast<double>(k)));
      EXPECT_EQ(std::set(out.begin(), out.end()).size(), out.size());
    }
  }
}

}  // namespace
}  // namespace vortex::flow
