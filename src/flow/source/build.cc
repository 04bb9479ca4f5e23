#include "flow/source/build.h"

#include <cstdlib>
#include <vector>

#include "toolchain/host_compiler.h"

namespace vortex::flow {
namespace fs = std::filesystem;

Result<fs::path> flow_include_folder() {
  std::vector<fs::path> places;
  const char* wish = std::getenv("VORTEX_INCLUDE_DIR");
  std::error_code ignored;
  if (wish != nullptr && *wish != '\0') {
    places.emplace_back(wish);
  } else {
    const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
    places = {program.parent_path().parent_path() / "include", fs::path(VORTEX_SOURCE_TREE) / "include"};
  }
  for (const fs::path& place : places)
    if (fs::is_regular_file(place / "vortex" / "flow.h", ignored)) return place;
  return Error{ErrorCode::kNotFound, (places[0] / "vortex" / "flow.h").string(), "the header of flows is not there",
               "name the folder that holds vortex/flow.h in VORTEX_INCLUDE_DIR"};
}

Result<fs::path> build_flow(const std::string& source, const std::optional<std::string>& cache_dir) {
  VORTEX_ASSIGN_OR_RETURN(const fs::path include, flow_include_folder());
  VORTEX_ASSIGN_OR_RETURN(const auto compiler, toolchain::HostCompiler::find());
  VORTEX_ASSIGN_OR_RETURN(const fs::path folder, toolchain::code_cache_folder(cache_dir));
  VORTEX_ASSIGN_OR_RETURN(const auto cache, toolchain::CodeCache::open(folder));
  // A flow runs once, when it is recorded: compiling it quickly is worth more than running it quickly.
  return compiler.compile_file(source, {"-O1", "-I" + include.string()}, cache);
}

}  // namespace vortex::flow
