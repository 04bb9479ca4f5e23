// A flow explained: the graph as written, what each pass did, the plan that runs, and what it costs.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "flow/flow.h"
#include "flow/plan/cost.h"

namespace vortex::flow {

struct Explanation {
  Graph written;
  std::vector<PassReport> passes;
  Plan plan;
  FlowCost cost;
};

/// Compiles a copy of `graph` as CompiledFlow does, keeping what each step did. Errors: those of CompiledFlow::compile.
Result<Explanation> explain(const Graph& graph, DType dtype, DType kv_dtype, const PassOptions& passes);

/// Where a number of the plan is rounded, one line each: "%1 to bfloat16, for group 2".
std::vector<std::string> rounding_places(const Plan& plan);

/// The operators of each group, one text each: "%1 = Max(%0, dim=2) : ragged [S, 1, 1]".
std::vector<std::vector<std::string>> list_groups(const Graph& graph, const Program& program);

/// For people. The prediction is for rows of `pages` pages.
std::string to_text(const Explanation& explanation, const MachineRate& machine, int64_t pages);

}  // namespace vortex::flow
