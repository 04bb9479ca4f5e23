#include "model/step_message.h"

namespace vortex::model {
namespace {

/// A sequence's part of a step: a slice of new tokens, of which the first are decodes with a plan.
struct SliceOnWire {
  int64_t first = 0, count = 0;
  int64_t table = 0;  // slabs of its page table
};
struct PlanOnWire {
  StateId state = kNoState;
  int32_t tokens = 0, pages = 0, budget = 0, selected = 0, last_tokens = 0;
  int32_t unused = 0;
};

Error no_batch() { return {ErrorCode::kDataLoss, "rank 0", "its message is no step", "do all ranks run one build?"}; }

}  // namespace

void write_batch(const Batch& batch, std::span<const StateId> states, std::span<const StateId> released,
                 MessageWriter* out) {
  out->list(released);
  out->list(std::span<const int32_t>(batch.ids));
  out->list(std::span<const int32_t>(batch.positions));
  std::vector<SliceOnWire> slices;
  for (const attention::TokenSlice& slice : batch.slices)
    slices.push_back({slice.first, slice.count, static_cast<int64_t>(slice.table.size())});
  out->list(std::span<const SliceOnWire>(slices));
  for (const attention::TokenSlice& slice : batch.slices) out->list(slice.table);
  std::vector<PlanOnWire> plans;
  for (size_t i = 0; i < batch.plan.sequences.size(); ++i) {
    const SequencePlan& s = batch.plan.sequences[i];
    plans.push_back({states[i], s.tokens, s.pages, s.budget, s.selected, s.last_tokens});
  }
  out->list(std::span<const PlanOnWire>(plans));
  out->value(batch.plan.reserved_bos);
  out->value(batch.plan.reserved_eos);
  out->list(std::span<const int64_t>(batch.logit_tokens));
  out->list(std::span<const TokenDraw>(batch.draws));
  out->list(std::span<const int32_t>(batch.draw_of));
}

Status ReceivedBatch::read(MessageReader* from, int kv_heads) {
  std::vector<StateId> released;
  from->list(&released);
  for (const StateId id : released) states_.erase(id);
  batch_.clear();
  from->list(&batch_.ids);
  from->list(&batch_.positions);
  std::vector<SliceOnWire> slices;
  from->list(&slices);
  tables_.clear();
  std::vector<SlabId> table;
  for (const SliceOnWire& slice : slices) {
    from->list(&table);
    if (static_cast<int64_t>(table.size()) != slice.table) return no_batch();
    tables_.insert(tables_.end(), table.begin(), table.end());
  }
  std::span<const SlabId> tables = tables_;
  for (const SliceOnWire& slice : slices) {
    batch_.slices.push_back({tables.first(static_cast<size_t>(slice.table)), slice.first, slice.count});
    tables = tables.subspan(static_cast<size_t>(slice.table));
  }
  std::vector<PlanOnWire> plans;
  from->list(&plans);
  if (plans.size() > slices.size()) return no_batch();
  for (size_t i = 0; i < plans.size(); ++i) {
    const PlanOnWire& p = plans[i];
    SequenceState* state = p.state == kNoState ? nullptr : &states_[p.state];
    batch_.plan.sequences.push_back(
        {batch_.slices[i].table, p.tokens, p.pages, p.budget, p.selected, p.last_tokens, state});
  }
  batch_.decodes = static_cast<int64_t>(plans.size());
  batch_.plan.kv_heads = kv_heads;
  batch_.plan.reserved_bos = from->value<int>();
  batch_.plan.reserved_eos = from->value<int>();
  from->list(&batch_.logit_tokens);
  from->list(&batch_.draws);
  from->list(&batch_.draw_of);
  if (from->failed() || batch_.positions.size() != batch_.ids.size()) return no_batch();
  return {};
}

}  // namespace vortex::model
