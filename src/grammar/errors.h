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

/// A name from the source, for a message: its first 64 bytes, whole characters.
inline std::string shortened(std::string_view name) {
  constexpr size_t kMostBytes = 64;
  if (name.size() <= kMostBytes) return std::string(name);
  size_t end = kMostBytes;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;
  return std::string(name.substr(0, end)) + "...";
}

}  // namespace vortex::grammar
