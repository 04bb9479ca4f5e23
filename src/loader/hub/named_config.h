// The config of a model that is known by its name: what can be said of its shapes before anything is loaded.
#pragma once

#include <string>

#include "base/result.h"
#include "loader/model_config.h"

namespace vortex {

/// Reads no weights and no network: `name` is what resolve_model() takes, and must be on this machine.
Result<ModelConfig> read_model_config(const std::string& name);

}  // namespace vortex
