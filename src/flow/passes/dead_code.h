// Dead-code elimination.
#pragma once

#include "flow/ir/graph.h"

namespace vortex::flow {

/// Before: a verified graph, each node a group. After: only nodes that a store or the output needs, in the same order.
void remove_dead_code(Graph* graph);

}  // namespace vortex::flow
