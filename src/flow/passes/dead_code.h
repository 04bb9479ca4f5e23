// Dead-code elimination.
#pragma once

#include <vector>

#include "flow/ir/graph.h"
#include "flow/passes/pass_notes.h"

namespace vortex::flow {

/// Which nodes a store or the output needs.
std::vector<bool> live_nodes(const Program& program);

/// Before: a verified graph, each node a group. After: only live nodes, in the same order.
void remove_dead_code(Graph* graph, PassNotes* notes);

}  // namespace vortex::flow
