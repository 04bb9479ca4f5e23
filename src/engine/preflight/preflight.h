// Pre-flight: what can be known to be wrong, or odd, about a VortexConfig before a model is loaded
// (spec/config.md 3.1).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/preflight/flow_sweep.h"
#include "engine/vortex_config.h"
#include "loader/model_config.h"

namespace vortex {

enum class Severity { kError, kWarning, kInfo };
std::string_view severity_name(Severity severity);  // "error", "warning", "info"

struct Finding {
  Severity severity = Severity::kError;
  std::string where;  // key, or file:line:column of the flow
  std::string message;
  std::string hint;

  std::string to_string() const;  // "warning: topk_val: ... (...)"
};

struct PreflightOptions {
  bool sweep = false;                // also compile for the shapes of flow_sweep.h
  std::string compressor_ckpt = {};  // weights of flows that learn; with a model only
};

/// Checks ranges, that the flow loads, is for the model's kind of attention and compiles for its shapes (without a
/// model: group 4 and head_dim 128; 16 heads and width 512 + 64 for latents) and the config's block size, that a
/// schedule_policy compiles; then what makes no sense together. Errors first. No error: the engine starts.
std::vector<Finding> preflight(const VortexConfig& config, const ModelConfig* model, const PreflightOptions& options);

/// A relative module_path is looked for in the working directory, then beside the file that the config is from.
void find_module_beside(const std::string& config_path, VortexConfig* config);

}  // namespace vortex
