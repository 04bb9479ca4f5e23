// FlowTarget: which flow, for which shapes: what `flow check` and `flow explain` share.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <optional>
#include <string>

#include "engine/vortex_config.h"
#include "loader/model_config.h"

namespace vortex::cli {

/// Name and shapes of a model, from its config alone. `name` is resolved without the network.
Result<ModelConfig> read_model_config(const std::string& name);

/// NAME, a flow's file, a VortexConfig's file or its JSON. `target` is what the command line says.
Result<VortexConfig> read_flow_target(const std::string& target);

}  // namespace vortex::cli
