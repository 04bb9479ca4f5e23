// Algebraic rewrites: the table of rules (rewriter.h, rewrite_rules.cc) applied to a graph.
#pragma once

#include "flow/ir/graph.h"
#include "flow/passes/pass_notes.h"

namespace vortex::flow {

/// Before: a verified graph, each node a group. After: the same selection for finite numbers and exact arithmetic, from
/// a cheaper graph; nodes that nobody reads any more are left for dead_code. Fewer groups mean fewer roundings, so
/// scores are at least as exact as those of the graph as written; which pages win among scores that differ by less than
/// a rounding may change. Backends run the same rewritten plan, so they still agree with each other.
void rewrite_graph(Graph* graph, PassNotes* notes);

}  // namespace vortex::flow
