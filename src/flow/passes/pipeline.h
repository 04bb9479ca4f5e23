// The passes in their order. Each keeps the selected pages; fusion also decides where values are rounded (graph.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "flow/ir/graph.h"
#include "flow/passes/pass_notes.h"

namespace vortex::flow {

struct PassOptions {
  std::vector<std::string> off;  // names of passes to leave out
};

/// What one pass did.
struct PassReport {
  std::string_view pass;
  bool ran = false;
  PassNotes notes;
};

/// Names in execution order: "rewrite", "common_subexpressions", "dead_code", "fuse".
std::vector<std::string_view> pass_names();

/// Runs all passes but those switched off, verifying after each. Error: a name in `off` that is no pass.
/// `reports`, if given, gets one entry a pass.
Status run_passes(const PassOptions& options, Graph* graph, std::vector<PassReport>* reports = nullptr);

}  // namespace vortex::flow
