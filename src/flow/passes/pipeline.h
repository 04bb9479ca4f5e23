// The passes in their order. Each keeps the selected pages; fusion also decides where values are rounded (graph.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "flow/ir/graph.h"

namespace vortex::flow {

struct PassOptions {
  std::vector<std::string> off;  // names of passes to leave out
};

/// Names in execution order: "dead_code", "fuse".
std::vector<std::string_view> pass_names();

/// Runs all passes but those switched off, verifying after each. Error: a name in `off` that is no pass.
Status run_passes(const PassOptions& options, Graph* graph);

}  // namespace vortex::flow
