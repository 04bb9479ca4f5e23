#include "engine/attention_mass.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tensor/codes.h"
#include "tensor/quant_blocks.h"

namespace vortex {
namespace {

/// Several sums side by side, so that a compiler without leave to reorder additions can still use vectors.
float dot(const float* a, const float* b, int n) {
  constexpr int kLanes = 16;
  std::array<float, kLanes> sums = {};
  int i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) sums[static_cast<size_t>(lane)] += a[i + lane] * b[i + lane];
  float total = 0;
  for (; i < n; ++i) total += a[i] * b[i];
  for (float sum : sums) total += sum;
  return total;
}

}  // namespace

AttentionMass::AttentionMass(WorkerPool* pool) : pool_(pool), keys_(static_cast<size_t>(pool->size())) {}

std::span<const double> AttentionMass::of_row(const model::Selection& selection, int row) {
  const int64_t pages = selection.plan->sequences[static_cast<size_t>(row / selection.plan->kv_heads)].pages;
  const int group = selection.group;
  sums_.resize(static_cast<size_t>(pages * group));
  pool_->parallel_ranges(pages, 1, [&](int64_t begin, int64_t end, int thread) {
    sum_pages(selection, row, begin, end, &keys_[static_cast<size_t>(thread)]);
  });
  mass_.assign(static_cast<size_t>(pages), 0.0);
  for (int head = 0; head < group; ++head) {
    const auto at = [&](int64_t page) { return sums_[static_cast<size_t>(page * group + head)]; };
    float peak = at(0).peak;
    for (int64_t page = 1; page < pages; ++page) peak = std::max(peak, at(page).peak);
    const auto weight = [&](int64_t page) { return double{at(page).sum} * std::exp(double{at(page).peak} - peak); };
    double total = 0;
    for (int64_t page = 0; page < pages; ++page) total += weight(page);
    for (int64_t page = 0; page < pages; ++page) mass_[static_cast<size_t>(page)] += weight(page) / (total * group);
  }
  return mass_;
}

void AttentionMass::sum_pages(const model::Selection& selection, int row, int64_t begin, int64_t end,
                              std::vector<float>* keys) {
  const PageView& view = *selection.pages;
  const FieldView& k = view.fields[0];
  const SequencePlan& sequence = selection.plan->sequences[static_cast<size_t>(row / selection.plan->kv_heads)];
  const float* queries = selection.queries + int64_t{row} * selection.group * k.cols;
  keys->resize(static_cast<size_t>(k.rows) * static_cast<size_t>(k.cols));
  for (int64_t page = begin; page < end; ++page) {
    const int tokens = page + 1 == sequence.pages ? sequence.last_tokens : view.page_tokens;
    const PageId id = view.page_id(sequence.table, page, row % selection.plan->kv_heads);
    if (k.dtype == DType::kCode8)
      decode_page(CodeLayout(k.dtype, tokens, k.cols), k.page(id), keys->data());
    else
      dequantize(k.dtype, k.page(id), keys->data(), int64_t{tokens} * k.cols);
    for (int head = 0; head < selection.group; ++head) {
      PageSum& out = sums_[static_cast<size_t>(page * selection.group + head)];
      out = {-INFINITY, 0};
      for (int token = 0; token < tokens; ++token) {
        const float logit =
            selection.scale * dot(queries + int64_t{head} * k.cols, keys->data() + int64_t{token} * k.cols, k.cols);
        const float peak = std::max(out.peak, logit);
        out = {peak, out.sum * std::exp(out.peak - peak) + std::exp(logit - peak)};
      }
    }
  }
}

}  // namespace vortex
