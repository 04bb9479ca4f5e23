// JSON of requests and answers.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "server/request/api_result.h"

namespace vortex::server {

/// Keeps the order of keys: tool schemas reach the chat template as they were written.
using Json = nlohmann::ordered_json;

inline constexpr int kMaxJsonDepth = 64;

/// Reads a request's body: one value of valid UTF-8 that nests at most 64 deep. 400 `invalid_json` with line and column
/// for anything else: trailing bytes, a byte order mark, a lone surrogate, a number that no double holds, a key that
/// comes twice. `param` is the field of the outermost object in which it happened.
ApiResult<Json> parse_body(std::string_view body);

/// A member of an object; null when it is not there, or when `object` is none.
const Json& member(const Json& object, std::string_view key);

/// On one line; what is not UTF-8 is replaced.
std::string to_text(const Json& value);

}  // namespace vortex::server
