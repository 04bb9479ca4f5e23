// Flows from files, by suffix: .py recorded by the Python front end, .cc compiled and loaded, .so loaded, .json
// read.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "flow/source/flow_source.h"

namespace vortex::flow {

/// The flow `name` of the file; its only flow when there is no name.
Result<std::unique_ptr<FlowSource>> load_flow_file(const std::string& path, const std::optional<std::string>& name,
                                                   const std::optional<std::string>& cache_dir);

}  // namespace vortex::flow
