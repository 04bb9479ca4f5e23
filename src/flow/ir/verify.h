// The verifier: what must hold of every graph. Runs when a front end finishes one and after each pass.
#pragma once

#include <optional>

#include "base/result.h"
#include "flow/ir/graph.h"

namespace vortex::flow {

/// Names, shapes and fields of a graph without programs.
Status verify_declarations(const Graph& graph);

/// Everything: declarations; node inputs come before their use and types re-infer; fields are written once and not read
/// in forward_cache; every field has a writer; exactly one output op; groups partition the nodes in execution order.
Status verify(const Graph& graph);

/// Type of the declared field that a store op names; nothing for other ops or a bad index.
std::optional<Type> stored_type(const Graph& graph, Op op, const Attributes& attributes);

}  // namespace vortex::flow
