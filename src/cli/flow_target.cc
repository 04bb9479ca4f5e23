#include "cli/flow_target.h"

#include "cli/config_file.h"
#include "engine/flow_setup.h"
#include "engine/preflight/preflight.h"
#include "loader/json.h"

namespace vortex::cli {
namespace {

/// A graph in JSON says its format; a VortexConfig does not.
bool is_graph(const std::string& text) {
  const auto json = parse_json(text, "");
  return json.ok() && json->is_object() && json->contains("format");
}

Result<VortexConfig> parse_config(const std::string& text, const std::string& where) {
  VORTEX_ASSIGN_OR_RETURN(auto config, parse_vortex_config(text, where));
  if (config) return std::move(*config);
  return Error{ErrorCode::kConfiguration, where, "enable_vortex_sparsity is false: there is no flow to look at",
               "set it to true or leave it out"};
}

}  // namespace

Result<VortexConfig> read_flow_target(const std::string& target) {
  if (target.starts_with('{')) return parse_config(target, "vortex config");
  const std::string path = target.starts_with('@') ? target.substr(1) : target;
  if (path.ends_with(".json")) {
    VORTEX_ASSIGN_OR_RETURN(const std::string text, read_config_file(path));
    if (!is_graph(text)) {
      VORTEX_ASSIGN_OR_RETURN(VortexConfig config, parse_config(text, path));
      find_module_beside(path, &config);
      return config;
    }
  }
  VortexConfig config;
  set_flow(target, &config);
  return config;
}

}  // namespace vortex::cli
