// Files that configure a run: an unreadable one is a mistake in the configuration, not a missing model.
#pragma once

#include <string>

#include "base/result.h"

namespace vortex::cli {

/// The text of a file of at most 1 MiB. kConfiguration naming the file otherwise.
Result<std::string> read_config_file(const std::string& path);

}  // namespace vortex::cli
