#include "model/paged_decode.h"

#include <cmath>

#include "base/stopwatch.h"
#include "flow/flow.h"
#include "model/rank_group.h"

namespace vortex::model {
namespace {

/// The lists are complete even where scores were NaN, so the step goes on and only those requests end. A selection that
/// leaves slots empty shortens the list, which is then made anew for the next layer.
void select(const LayerStep& step, int group, float scale, const float* queries) {
  const StepPlan& plan = step.batch->plan;
  if (step.flow != nullptr) {
    if (!step.flow->plan().fixed_count()) list_reserved_pages(plan, *step.pages, step.sparse_list);
    const Status status = step.flow->select(*step.pages, plan, queries, step.sparse_list);
    if (!status.ok())
      for (int row : step.flow->failed_rows())
        step.result->failures.push_back({row / step.pages->kv_heads, status.error()});
  }
  if (step.hook == nullptr) return;
  const Selection selection{step.pages, &plan, queries, group, scale};
  step.hook->on_selection(selection, step.sparse_list);
}

const PageList& list_of(const LayerStep& step, RankGroup* ranks, const attention::AttentionShape& shape,
                        const float* queries) {
  if (shape.window > 0) return *step.window_list;
  if (!step.sparse || !step.batch->plan.any_sparse()) return *step.dense_list;
  const Stopwatch watch(&step.result->selection_s);
  if (ranks == nullptr) {
    select(step, shape.group, shape.scale, queries);
  } else {
    const float* whole = ranks->whole_rows(queries, step.batch->decodes, step.pages->fields[0].cols);
    select(step, ranks->whole_group(), shape.scale, whole);
  }
  return *step.sparse_list;
}

}  // namespace

void update_fields(const LayerStep& step) {
  if (step.flow != nullptr && !step.completed_pages.empty()) step.flow->update(*step.pages, step.completed_pages);
}

void decode_rows(const LayerStep& step, const Backend& backend, const attention::AttentionShape& shape,
                 const float* queries, float* out) {
  if (step.batch->decodes == 0) return;
  const PageList& list = list_of(step, backend.ranks, shape, queries);
  {
    const Stopwatch watch(&step.result->attention_s);
    backend.attention->decode(*step.pages, list, shape, queries, out);
  }
  if (!step.sparse) return;
  for (int row = 0; row < list.rows(); ++row)
    step.result->pages_read[static_cast<size_t>(row / step.pages->kv_heads)] += list.row_pages(row);
}

float attention_scale(const ModelConfig& config) {
  return config.attention_scale > 0 ? config.attention_scale : 1.0f / std::sqrt(static_cast<float>(config.head_dim));
}

}  // namespace vortex::model
