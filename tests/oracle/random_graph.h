// Random well-typed graphs for differential tests: every op the inference accepts has a chance.
#pragma once

#include "flow/flow_testing.h"
#include "flow/ir/graph.h"
#include "flow/plan/parameter.h"

namespace vortex::flow {

/// A verified graph for `shape`; the same for the same seed.
Graph random_graph(const GraphShape& shape, uint32_t seed);

/// Random weights for the graph's Project nodes.
Parameters random_parameters(const Graph& graph, uint32_t seed);

}  // namespace vortex::flow
