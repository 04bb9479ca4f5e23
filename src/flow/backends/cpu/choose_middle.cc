#include "flow/backends/cpu/choose_middle.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "flow/backends/cpu/select_best.h"

namespace vortex::flow {
namespace {

constexpr int64_t kGroupsPerPage = 4;  // groups of scores for each page that is taken
constexpr int64_t kSmallestGroup = 8;

/// The best k of n scores, ascending.
bool select_all(const float* score, int64_t n, int64_t k, float tolerance, SelectScratch* scratch,
                std::vector<int32_t>* out) {
  out->resize(static_cast<size_t>(k));
  return select_best(score, n, k, tolerance, &scratch->keys, out->data());
}

/// The same when k is small beside n. The k-th largest of the maxima of groups is a bound that at least k scores reach,
/// so the best are among the few that do. False if k is not small, or NaN leaves fewer than k.
bool select_few(const TileKernels& kernels, const float* score, int64_t n, int64_t k, SelectScratch* scratch,
                std::vector<int32_t>* out, bool* nan) {
  const int64_t group = n / (kGroupsPerPage * std::max<int64_t>(k, 1));
  if (k == 0 || group < kSmallestGroup) return false;
  std::vector<float>& maxima = scratch->maxima;
  maxima.resize(static_cast<size_t>((n + group - 1) / group));
  *nan = kernels.group_maxima(score, n, group, maxima.data());
  std::nth_element(maxima.begin(), maxima.begin() + (k - 1), maxima.end(), std::greater<>());
  scratch->candidates.resize(static_cast<size_t>(n));
  const int64_t count = kernels.list_at_least(score, n, maxima[static_cast<size_t>(k) - 1], scratch->candidates.data());
  if (count < k) return false;
  scratch->scores.resize(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    scratch->scores[static_cast<size_t>(i)] = score[scratch->candidates[static_cast<size_t>(i)]];
  select_all(scratch->scores.data(), count, k, 0, scratch, out);
  for (int32_t& index : *out) index = scratch->candidates[static_cast<size_t>(index)];
  return true;
}

bool select(const TileKernels& kernels, const float* score, int64_t n, int64_t k, float tolerance,
            SelectScratch* scratch, std::vector<int32_t>* out) {
  bool nan = false;
  if (tolerance == 0 && select_few(kernels, score, n, k, scratch, out, &nan)) return nan;
  return select_all(score, n, k, tolerance, scratch, out);
}

/// exp(x - top); the best page weighs 1 even where top is infinite, NaN weighs nothing.
double weight(float x, float top) {
  if (x == top) return 1;
  return x != x ? 0 : std::exp(double{x} - double{top});
}

/// Keeps the fewest of `chosen`, the best pages of all, whose share of the softmax over n pages reaches `mass`.
void keep_mass(const Attributes& wanted, const float* score, int64_t n, std::vector<int32_t>* chosen) {
  if (chosen->empty()) return;
  const auto better = [&](int32_t a, int32_t b) {
    const float x = score[a], y = score[b];
    if (x != x || y != y) return x == x || (y != y && a < b);
    return x > y || (x == y && a < b);
  };
  std::sort(chosen->begin(), chosen->end(), better);
  const float top = score[chosen->front()];
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += weight(score[i], top);
  const auto least = std::min<size_t>(static_cast<size_t>(wanted.at_least), chosen->size());
  double sum = 0;
  size_t count = 0;
  while (count < chosen->size() && (count < least || sum < double{wanted.mass} * total))
    sum += weight(score[(*chosen)[count++]], top);
  chosen->resize(count);
}

int64_t set_size(const Plan& plan, ValueId set) {
  const Program& program = plan.indexer.program;
  return program.node(program.values[static_cast<size_t>(set)].producer).attributes.k;
}

bool unite(const Plan& plan, const TileKernels& kernels, const float* const* score, int64_t n, SelectScratch* scratch) {
  const std::vector<ValueId>& sets = plan.output().inputs;
  bool nan = select(kernels, score[0], n, std::min(n, set_size(plan, sets[0])), 0, scratch, &scratch->chosen);
  nan |= select(kernels, score[1], n, std::min(n, set_size(plan, sets[1])), 0, scratch, &scratch->other);
  std::vector<int32_t>& all = scratch->chosen;  // both are ascending
  const auto middle = static_cast<int64_t>(all.size());
  all.insert(all.end(), scratch->other.begin(), scratch->other.end());
  std::inplace_merge(all.begin(), all.begin() + middle, all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return nan;
}

}  // namespace

bool choose_middle(const Plan& plan, const TileKernels& kernels, const float* const* score, int64_t n, int64_t k,
                   SelectScratch* scratch) {
  const Node& output = plan.output();
  if (output.op == Op::kUnion) return unite(plan, kernels, score, n, scratch);
  const float tolerance = output.op == Op::kApproxTopK ? output.attributes.tolerate_ratio : 0;
  const bool nan = select(kernels, score[0], n, k, tolerance, scratch, &scratch->chosen);
  if (output.op == Op::kTopP) keep_mass(output.attributes, score[0], n, &scratch->chosen);
  return nan;
}

}  // namespace vortex::flow
