// Records a C++ flow (include/vortex/flow.h) as a graph for one shape.
#pragma once

#include <string>

#include "base/result.h"
#include "flow/ir/graph.h"
#include "vortex/flow.h"

namespace vortex::flow {

AttentionKind attention_of(const GraphShape& shape);

/// kConfiguration, with both kinds in words, when a flow made for one kind of attention meets a model of the other.
Status check_attention(const std::string& flow, AttentionKind made_for, AttentionKind model);

/// Runs the flow's three methods once. A mistake is an error with `where` = file:line:column of the author's text that
/// names the operator and the shapes; whatever the flow throws becomes an error too.
Result<Graph> trace(FlowBase& flow, const std::string& name, const GraphShape& shape);

}  // namespace vortex::flow
