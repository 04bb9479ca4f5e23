// FlowTrial: one flow, once, on arrays of the caller's: what it would read of them, without a model.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "engine/vortex_config.h"
#include "flow/flow.h"

namespace vortex::python {

/// One sequence of one layer, float32 and row-major.
struct TrialArrays {
  int64_t kv_heads = 1;
  int64_t tokens = 0;               // the one that asks included
  std::vector<const float*> bases;  // k and v [kv_heads, tokens, head_dim], or latents [tokens, head_dim]
  const float* queries = nullptr;   // [kv_heads, group, head_dim]
};

struct TrialResult {
  std::vector<std::vector<int32_t>> pages;  // by kv head: what it reads, ascending
  int64_t held = 0;                         // pages of a row
  /// [kv_heads, held]; NaN where pages did not compete: the reserved ones, and all when the budget holds all.
  std::vector<float> scores;
};

/// Stores the arrays as pages (keys, values and latents rounded to `kv_dtype`), runs forward_cache on the full ones and
/// selects as `config` budgets. kInvalidArgument: no token, more than fit in 31 bits of page numbers, a base field
/// more or less than the graph's; kResourceExhausted: more than half of the memory; otherwise the errors of
/// CompiledFlow and PageBudget.
Result<TrialResult> try_flow(flow::Graph graph, const TrialArrays& arrays, const VortexConfig& config,
                             flow::BackendKind backend, DType kv_dtype);

}  // namespace vortex::python
