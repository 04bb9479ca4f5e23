// Records a C++ flow (include/vortex/flow.h) as a graph for one shape.
#pragma once

#include <string>

#include "base/result.h"
#include "flow/ir/graph.h"

namespace vortex {
class Flow;
}

namespace vortex::flow {

/// Runs the flow's three methods once. A mistake is an error with `where` = file:line:column of the author's text that
/// names the operator and the shapes; whatever the flow throws becomes an error too.
Result<Graph> trace(Flow& flow, const std::string& name, const GraphShape& shape);

}  // namespace vortex::flow
