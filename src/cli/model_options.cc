#include "cli/model_options.h"

#include "cli/config_file.h"
#include "cli/download_bars.h"
#include "engine/flow_setup.h"
#include "engine/preflight/preflight.h"
#include "loader/hub/resolve.h"

namespace vortex::cli {
namespace {

Result<std::string> config_text(const std::string& argument) {
  if (!argument.starts_with('@')) return argument;
  return read_config_file(argument.substr(1));
}

}  // namespace

Result<std::optional<VortexConfig>> read_vortex_config(const std::string& argument) {
  VORTEX_ASSIGN_OR_RETURN(const std::string text, config_text(argument));
  if (!argument.starts_with('@')) return parse_vortex_config(text, "--vortex-config");
  VORTEX_ASSIGN_OR_RETURN(auto config, parse_vortex_config(text, argument.substr(1)));
  if (config) find_module_beside(argument.substr(1), &*config);
  return config;
}

void ModelOptions::add_to(CLI::App& app, bool positional) {
  add_model_to(app, positional);
  app.add_option("--flow", flow,
                 "Sparse attention under this flow: a name (vortex flow list) or a .cc, .so or .json file");
  app.add_option("--vortex-config", vortex_config, "Sparse attention settings as JSON, or @FILE");
}

void ModelOptions::add_model_to(CLI::App& app, bool positional) {
  const char* help = "A folder in Hugging Face form, a .gguf, org/name[@revision][:QUANT] or a catalogue name";
  app.add_option(positional ? "model" : "--model,-m", model, help)->required();
  app.add_flag("--offline", offline, "Use only what is on this machine");
  app.add_flag("--quiet,-q", quiet, "No progress on stderr");
}

Result<EngineOptions> ModelOptions::engine_options(const Settings& settings) const {
  VORTEX_ASSIGN_OR_RETURN(EngineOptions options, vortex::engine_options(settings));
  options.model = model;
  if (vortex_config) {
    VORTEX_ASSIGN_OR_RETURN(options.vortex, read_vortex_config(*vortex_config));
  }
  if (flow) {
    if (!options.vortex) options.vortex.emplace();
    set_flow(*flow, &*options.vortex);
  }
  return options;
}

Result<std::unique_ptr<Engine>> ModelOptions::start(const Settings& settings) const {
  VORTEX_ASSIGN_OR_RETURN(EngineOptions options, engine_options(settings));
  return start(std::move(options));
}

Status ModelOptions::resolve(EngineOptions* options) const {
  DownloadBars bars(quiet);
  ResolveOptions resolve;
  resolve.offline = offline;
  resolve.progress = bars.callback();
  VORTEX_ASSIGN_OR_RETURN(options->model, resolve_model(options->model, resolve));
  return {};
}

Result<std::unique_ptr<Engine>> ModelOptions::start(EngineOptions options) const {
  VORTEX_RETURN_IF_ERROR(resolve(&options));
  return Engine::create(options);
}

}  // namespace vortex::cli
