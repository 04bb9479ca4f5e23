// The JSON of a schema from a stranger.
#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

#include "base/result.h"
#include "grammar/caps.h"

namespace vortex::grammar {

/// Members keep their order. kInvalidArgument for text that is no JSON, nests too deep, repeats a key or has an
/// object with too many members.
Result<nlohmann::ordered_json> parse_schema_json(std::string_view text, const Caps& caps);

}  // namespace vortex::grammar
