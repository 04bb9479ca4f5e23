// What the settings say about a server.
#pragma once

#include <string>
#include <vector>

#include "base/settings.h"
#include "server/api_server.h"

namespace vortex::cli {

/// Where to listen and whom to let in; the key files are read. kConfiguration naming the setting.
Result<server::HttpOptions> http_options(const Settings& settings);

/// `model`: the name on the command line, used where --served-model-name says nothing. `max_topk`: the most pages that
/// a request may choose, where the VortexConfig has a limit.
Result<server::ApiOptions> api_options(const Settings& settings, const std::string& model,
                                       std::optional<int64_t> max_topk);

}  // namespace vortex::cli
