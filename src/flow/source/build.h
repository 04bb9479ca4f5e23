// A flow's C++ file to a shared object, by the compiler of this machine.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "flow/source/flow_source.h"

namespace vortex::flow {

/// Compiles the file (or finds it compiled) and returns the library in the cache. Errors have FILE:LINE:COLUMN.
Result<std::filesystem::path> build_flow(const std::string& source, const std::optional<std::string>& cache_dir);

/// The same, copied to `library`; returns the names of its flows.
Result<std::vector<std::string>> build_flow_library(const std::string& source, const std::filesystem::path& library);

/// Records the flow for one shape and writes the graph as JSON; returns the flow's name.
Result<std::string> write_graph(const FlowRequest& request, const GraphShape& shape, const std::filesystem::path& path);

}  // namespace vortex::flow
