// Flows from .py files: recorded by the Python front end, once for each shape; graphs are kept on disk.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "flow/source/flow_source.h"

namespace vortex::flow {

/// The flow `name` of the file; its only flow when there is no name. What was recorded before is found in the cache,
/// under the content of the file, its shape and the version of Vortex and Python, as long as all files that went into
/// it (modules that it imports) are the same.
Result<std::unique_ptr<FlowSource>> load_python_file(const std::string& path, const std::optional<std::string>& name,
                                                     const std::optional<std::string>& cache_dir);

}  // namespace vortex::flow
