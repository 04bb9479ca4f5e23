// Common subexpressions: what is computed twice is computed once.
#pragma once

#include "flow/ir/graph.h"
#include "flow/passes/pass_notes.h"

namespace vortex::flow {

/// Before: a verified graph, each node a group. After: readers of a value that an earlier node makes too (same op,
/// inputs and attributes) read the earlier one; the later node is left for dead_code. Values are kept. Where the two
/// would have run in different groups, the shared value leaves its group and is rounded there.
void share_common_subexpressions(Graph* graph, PassNotes* notes);

}  // namespace vortex::flow
