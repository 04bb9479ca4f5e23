// docs/api-fields.md, made from the tables that requests are checked against.
#pragma once

#include <string>

namespace vortex::server {

/// A table for each endpoint that takes a body.
std::string fields_markdown();

}  // namespace vortex::server
