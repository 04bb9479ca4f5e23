// JSON from a stranger's file: depth capped, duplicate keys refused, no exception leaves.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace vortex {

inline constexpr int kMaxJsonDepth = 64;

/// kDataLoss with the byte position for text that is no JSON, nests deeper than `max_depth` or repeats a key.
Result<nlohmann::json> parse_json(std::string_view text, std::string_view where, int max_depth = kMaxJsonDepth);

/// parse_json() of a file of at most `max_bytes`.
Result<nlohmann::json> read_json_file(const std::string& path, int64_t max_bytes);

}  // namespace vortex
