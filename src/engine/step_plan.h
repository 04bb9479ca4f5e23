// Budgets as pages: how many each sequence reads in a decode step (spec/config.md 4, spec/planner.md 2).
#pragma once

#include <cstdint>
#include <span>

#include "engine/vortex_config.h"
#include "tensor/paged.h"

namespace vortex {

/// The default formula: max(topk_val + bos + eos, trunc(pages * topk_ratio)), the product in float32.
int64_t default_budget(const VortexConfig& config, int64_t pages);

/// The plan of one sequence with `tokens` tokens in its cache, the one being decoded included. Without a config every
/// page is read.
SequencePlan plan_sequence(std::span<const SlabId> table, int64_t tokens, int page_tokens, const VortexConfig* config);

}  // namespace vortex
