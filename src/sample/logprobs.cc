#include "sample/logprobs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"

namespace vortex::sample {
namespace {

double log_sum_exp(std::span<const float> logits) {
  const double best = *std::ranges::max_element(logits);
  double sum = 0;
  for (float x : logits) sum += std::exp(static_cast<double>(x) - best);
  return best + std::log(sum);
}

std::vector<int32_t> best_tokens(std::span<const float> logits, int count) {
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto end = ids.begin() + std::min<int64_t>(count, static_cast<int64_t>(ids.size()));
  std::partial_sort(ids.begin(), end, ids.end(), [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  });
  ids.erase(end, ids.end());
  return ids;
}

}  // namespace

TokenLogprobs token_logprobs(std::span<const float> logits, int32_t token, int count) {
  VORTEX_CHECK(token >= 0 && static_cast<size_t>(token) < logits.size(), "token {} of {}", token, logits.size());
  const double total = log_sum_exp(logits);
  const auto describe = [&](int32_t id) {
    const float logit = logits[static_cast<size_t>(id)];
    const auto better = std::ranges::count_if(logits, [&](float x) { return x > logit; });
    return TokenLogprob{id, static_cast<float>(logit - total), better + 1};
  };
  TokenLogprobs out{describe(token), {}};
  for (int32_t id : best_tokens(logits, count)) out.top.push_back(describe(id));
  return out;
}

}  // namespace vortex::sample
