#include "flow/interp/choose.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numeric>

namespace vortex::flow::interp {
namespace {

/// The top `bytes` bytes of a score as an ordered key.
uint32_t key_prefix(float x, int bytes) {
  uint32_t bits = std::bit_cast<uint32_t>(x == 0 ? 0.0f : x);
  bits = std::isnan(x) ? 0 : (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
  return bits >> (32 - 8 * bytes);
}

}  // namespace

std::vector<int> rank_pages(const std::vector<float>& scores, Range middle) {
  std::vector<int> order(static_cast<size_t>(middle.end - middle.begin));
  std::iota(order.begin(), order.end(), middle.begin);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    const float x = scores[static_cast<size_t>(a)], y = scores[static_cast<size_t>(b)];
    if (std::isnan(x) || std::isnan(y)) return !std::isnan(x) && std::isnan(y);
    return x > y;
  });
  return order;
}

std::vector<int> approximate(const std::vector<int>& ranked, const std::vector<float>& scores, int k, float tolerance) {
  for (int bytes = 1; bytes <= 4 && k > 0; ++bytes) {
    const auto prefix = [&](int page) { return key_prefix(scores[static_cast<size_t>(page)], bytes); };
    const uint32_t bin = prefix(ranked[static_cast<size_t>(k) - 1]);
    std::vector<int> chosen, level;
    for (int page : ranked) {
      if (prefix(page) > bin) chosen.push_back(page);
      if (prefix(page) == bin) level.push_back(page);
    }
    if (static_cast<int>(chosen.size()) < std::ceil((1.0 - double{tolerance}) * k) && bytes < 4) continue;
    std::sort(level.begin(), level.end());
    chosen.insert(chosen.end(), level.begin(), level.begin() + (k - static_cast<int>(chosen.size())));
    return chosen;
  }
  return {};
}

int count_for_mass(const std::vector<int>& ranked, const std::vector<float>& scores, double mass) {
  std::vector<double> weight;
  for (int page : ranked) {
    const double x = scores[static_cast<size_t>(page)], top = scores[static_cast<size_t>(ranked.front())];
    weight.push_back(x == top ? 1.0 : std::isnan(x) ? 0.0 : std::exp(x - top));
  }
  const double wanted = mass * std::accumulate(weight.rbegin(), weight.rend(), 0.0);
  double sum = 0;
  int count = 0;
  while (count < static_cast<int>(weight.size()) && sum < wanted) sum += weight[static_cast<size_t>(count++)];
  return count;
}

}  // namespace vortex::flow::interp
