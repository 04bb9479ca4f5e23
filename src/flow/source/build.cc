#include "flow/source/build.h"

#include <vector>

#include "base/files.h"
#include "flow/ir/json.h"
#include "flow/source/places.h"
#include "flow/source/plugin.h"
#include "toolchain/host_compiler.h"

namespace vortex::flow {
namespace fs = std::filesystem;

Result<fs::path> build_flow(const std::string& source, const std::optional<std::string>& cache_dir) {
  VORTEX_ASSIGN_OR_RETURN(const fs::path include, flow_include_folder());
  VORTEX_ASSIGN_OR_RETURN(const auto compiler, toolchain::HostCompiler::find());
  VORTEX_ASSIGN_OR_RETURN(const fs::path folder, toolchain::code_cache_folder(cache_dir));
  VORTEX_ASSIGN_OR_RETURN(const auto cache, toolchain::CodeCache::open(folder));
  // A flow runs once, when it is recorded: compiling it quickly is worth more than running it quickly.
  return compiler.compile_file(source, {"-O1", "-Wall", "-I" + include.string()}, cache);
}

Result<std::vector<std::string>> build_flow_library(const std::string& source, const fs::path& library) {
  VORTEX_ASSIGN_OR_RETURN(const fs::path built, build_flow(source, std::nullopt));
  VORTEX_ASSIGN_OR_RETURN(const Plugin plugin, Plugin::open(built.string(), source));
  constexpr int64_t kMaxBytes = int64_t{256} << 20;
  VORTEX_ASSIGN_OR_RETURN(const std::string bytes, read_small_file(built, kMaxBytes));
  VORTEX_RETURN_IF_ERROR(write_file_atomically(library, bytes));
  const auto names = plugin.names();
  return std::vector<std::string>(names.begin(), names.end());
}

Result<std::string> write_graph(const FlowRequest& request, const GraphShape& shape, const fs::path& path) {
  VORTEX_ASSIGN_OR_RETURN(const auto source, load_flow_source(request));
  VORTEX_ASSIGN_OR_RETURN(const Graph graph, source->trace(shape));
  VORTEX_RETURN_IF_ERROR(write_file_atomically(path, write_json(graph) + '\n'));
  return graph.name;
}

}  // namespace vortex::flow
