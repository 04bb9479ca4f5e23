// Small helpers for one-line errors about files from outside.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace vortex {

inline Error data_loss(std::string_view where, std::string message) {
  return Error{ErrorCode::kDataLoss, std::string(where), std::move(message), "download the file again"};
}

inline Error unsupported(std::string_view where, std::string message, std::string hint = {}) {
  return Error{ErrorCode::kUnsupported, std::string(where), std::move(message), std::move(hint)};
}

/// A name from a file, in quotes; a long one is cut, so that an error stays one line.
inline std::string quote_name(std::string_view name) {
  constexpr size_t kMax = 96;
  return name.size() <= kMax ? fmt::format("'{}'", name) : fmt::format("'{}...'", name.substr(0, kMax));
}

}  // namespace vortex
