// Fusion: neighbouring fused-schedule ops become groups that run as one.
#pragma once

#include "flow/ir/graph.h"
#include "flow/passes/pass_notes.h"

namespace vortex::flow {

/// Before: a verified graph. After: groups are merged greedily along edges between two fused-schedule ops, in node
/// order, wherever the groups stay free of cycles; groups are in execution order. Ops that run alone stay alone.
void fuse_groups(Graph* graph, PassNotes* notes);

}  // namespace vortex::flow
