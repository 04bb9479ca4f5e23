#include "flow/plan/saved_state.h"

namespace vortex::flow {

SequenceState::Layer* prepare_saved(const Plan& plan, const PageView& view, const StepPlan& step,
                                    const SequencePlan& sequence) {
  VORTEX_CHECK(sequence.state != nullptr, "flow {} saves, the sequence has no state", plan.graph.name);
  std::vector<int64_t> bytes;
  for (int field : plan.saved_fields) bytes.push_back(plan.declared_fields()[static_cast<size_t>(field)].page_bytes());
  SequenceState::Layer& layer = sequence.state->layer(view.layer);
  layer.prepare(bytes, step.kv_heads, sequence.pages - step.reserved_eos);
  return &layer;
}

}  // namespace vortex::flow
