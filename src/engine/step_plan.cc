#include "engine/step_plan.h"

#include <algorithm>

namespace vortex {

int64_t default_budget(const VortexConfig& config, int64_t pages) {
  const int64_t fixed = config.topk_val + config.block_reserved_bos + config.block_reserved_eos;
  const auto share = static_cast<int64_t>(static_cast<float>(pages) * static_cast<float>(config.topk_ratio));
  return std::max(fixed, share);
}

SequencePlan plan_sequence(std::span<const SlabId> table, int64_t tokens, int page_tokens, const VortexConfig* config) {
  VORTEX_CHECK(tokens > 0, "a decode step stores a token first");
  SequencePlan plan;
  const int64_t pages = (tokens + page_tokens - 1) / page_tokens;
  const int64_t budget = config == nullptr ? pages : std::min(default_budget(*config, pages), pages);
  plan.table = table;
  plan.tokens = static_cast<int32_t>(tokens);
  plan.pages = static_cast<int32_t>(pages);
  plan.budget = plan.selected = static_cast<int32_t>(budget);
  plan.last_tokens = static_cast<int32_t>(tokens - (pages - 1) * page_tokens);
  return plan;
}

}  // namespace vortex
