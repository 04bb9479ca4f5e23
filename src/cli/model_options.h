// ModelOptions: what every command that runs a model takes beside the settings: the model and its sparsity.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <optional>
#include <string>

#include "base/settings.h"
#include "vortex/engine.h"

namespace vortex::cli {

/// What --vortex-config was given: JSON, or @FILE. kConfiguration naming the key or the file; null when the original's
/// `enable_vortex_sparsity` says no.
Result<std::optional<VortexConfig>> read_vortex_config(const std::string& argument);

struct ModelOptions {
  std::string model;
  std::optional<std::string> flow;  // --flow NAME|FILE, short for {"module_name": NAME} or {"module_path": FILE}
  std::optional<std::string> vortex_config;  // --vortex-config JSON or @FILE; empty is an error, not dense
  bool offline = false;
  bool quiet = false;

  /// `positional`: the model is the first argument; otherwise it is --model.
  void add_to(CLI::App& app, bool positional);
  /// The same without --flow and --vortex-config, for commands that take several.
  void add_model_to(CLI::App& app, bool positional);

  /// The engine's options with the model's name still unresolved.
  Result<EngineOptions> engine_options(const Settings& settings) const;

  /// Finds the model, fetching it when need be: `options.model` becomes its path.
  Status resolve(EngineOptions* options) const;

  /// Finds the model and starts an engine on it.
  Result<std::unique_ptr<Engine>> start(const Settings& settings) const;
  Result<std::unique_ptr<Engine>> start(EngineOptions options) const;
};

}  // namespace vortex::cli
