#include "engine/step_plan.h"

namespace vortex {

SequencePlan plan_sequence(std::span<const SlabId> table, int64_t tokens, int page_tokens, const PageBudget* budget) {
  VORTEX_CHECK(tokens > 0, "a decode step stores a token first");
  SequencePlan plan;
  const int64_t pages = (tokens + page_tokens - 1) / page_tokens;
  plan.table = table;
  plan.tokens = static_cast<int32_t>(tokens);
  plan.pages = static_cast<int32_t>(pages);
  plan.budget = plan.selected = static_cast<int32_t>(budget == nullptr ? pages : (*budget)(pages));
  plan.last_tokens = static_cast<int32_t>(tokens - (pages - 1) * page_tokens);
  return plan;
}

}  // namespace vortex
