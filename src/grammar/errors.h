// The one kind of error of this folder: a grammar that is refused.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace vortex::grammar {

/// kInvalidArgument. `where`: the place in the source ("json_schema: properties.name", "regex: byte 3").
inline Error refused(std::string_view where, std::string message, std::string hint = {}) {
  return {ErrorCode::kInvalidArgument, std::string(where), std::move(message), std::move(hint)};
}

}  // namespace vortex::grammar
