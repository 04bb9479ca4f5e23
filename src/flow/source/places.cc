#include "flow/source/places.h"

#include <fmt/core.h>

#include <utility>
#include <vector>

#include "toolchain/program.h"

namespace vortex::flow {
namespace {
namespace fs = std::filesystem;
using toolchain::environment_variable;

Places& told() {
  static Places places;
  return places;
}

/// The folder above the one that the program is in.
fs::path prefix() {
  std::error_code ignored;
  return fs::read_symlink("/proc/self/exe", ignored).parent_path().parent_path();
}

/// A wish is the only place; otherwise the places where there is one.
std::vector<fs::path> candidates(const char* variable, const fs::path& given, const char* installed, const char* tree) {
  if (const std::string wish = environment_variable(variable); !wish.empty()) return {wish};
  if (!given.empty()) return {given};
  return {prefix() / installed, fs::path(VORTEX_SOURCE_TREE) / tree};
}

std::optional<fs::path> first_with(const std::vector<fs::path>& places, const fs::path& file) {
  std::error_code ignored;
  for (const fs::path& place : places)
    if (fs::is_regular_file(place / file, ignored)) return place;
  return std::nullopt;
}

}  // namespace

void set_places(Places places) { told() = std::move(places); }

Result<fs::path> flow_include_folder() {
  const auto places = candidates("VORTEX_INCLUDE_DIR", told().include, "include", "include");
  if (const auto found = first_with(places, "vortex/flow.h")) return *found;
  return Error{ErrorCode::kNotFound, (places[0] / "vortex" / "flow.h").string(), "the header of flows is not there",
               "name the folder that holds vortex/flow.h in VORTEX_INCLUDE_DIR"};
}

std::optional<fs::path> python_package_folder() {
  return first_with(candidates("VORTEX_PYTHON_DIR", told().python, "lib/vortex/python", "python"),
                    "vortex/flow/trace_main.py");
}

Result<fs::path> python_interpreter() {
  const std::string wish = environment_variable("VORTEX_PYTHON");
  const std::string name = wish.empty() ? told().interpreter : wish;
  if (const auto program = toolchain::find_program(name)) return *program;
  return Error{ErrorCode::kNotFound, wish.empty() ? "" : "VORTEX_PYTHON",
               fmt::format("a flow in Python needs Python 3.11 or newer, and '{}' is no program here", name),
               "install it (Debian: apt-get install python3), or name one in VORTEX_PYTHON"};
}

}  // namespace vortex::flow
