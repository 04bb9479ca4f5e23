#include "loader/hub/named_config.h"

#include "loader/hub/resolve.h"
#include "loader/model_files.h"

namespace vortex {

Result<ModelConfig> read_model_config(const std::string& name) {
  ResolveOptions offline;
  offline.offline = true;
  VORTEX_ASSIGN_OR_RETURN(const std::string path, resolve_model(name, offline));
  const bool weights = path.ends_with(".gguf");
  VORTEX_ASSIGN_OR_RETURN(const auto files, weights ? ModelFiles::open(path) : ModelFiles::open_dummy(path));
  return files->config();
}

}  // namespace vortex
