// /openapi.json, made from the tables that requests are checked against.
#pragma once

#include <string>

namespace vortex::server {

/// OpenAPI 3.1. `model_names`: what the model field may be.
std::string openapi_text(const std::string& version);

}  // namespace vortex::server
