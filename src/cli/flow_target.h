// FlowTarget: which flow: what `flow check` and `flow explain` share.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <optional>
#include <string>

#include "engine/vortex_config.h"

namespace vortex::cli {

/// NAME, a flow's file, a VortexConfig's file or its JSON. `target` is what the command line says.
Result<VortexConfig> read_flow_target(const std::string& target);

}  // namespace vortex::cli
