// A flow's C++ file to a shared object, by the compiler of this machine.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"

namespace vortex::flow {

/// Where <vortex/flow.h> lies: below $VORTEX_INCLUDE_DIR, beside this program when it is installed (../include), or in
/// the source tree that it was built from. kNotFound when it is in none of them.
Result<std::filesystem::path> flow_include_folder();

/// Compiles the file (or finds it compiled) and returns the library in the cache. Errors have FILE:LINE:COLUMN.
Result<std::filesystem::path> build_flow(const std::string& source, const std::optional<std::string>& cache_dir);

}  // namespace vortex::flow
