// The pages of a sequence in a decode step: held, to be read, tokens in the last (spec/planner.md 2).
#pragma once

#include <cstdint>
#include <span>

#include "engine/page_budget.h"
#include "tensor/paged.h"

namespace vortex {

/// The plan of one sequence with `tokens` tokens in its cache, the one being decoded included. Without a budget every
/// page is read.
SequencePlan plan_sequence(std::span<const SlabId> table, int64_t tokens, int page_tokens, const PageBudget* budget);

}  // namespace vortex
