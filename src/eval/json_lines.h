// Files of JSON lines: one object a line, plain or gzipped.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/function_ref.h"
#include "base/result.h"

namespace vortex::eval {

struct JsonLine {
  nlohmann::ordered_json object;
  std::string where;  // "FILE:LINE"
  int64_t line = 0;   // from 1

  bool has_string(const char* key) const { return object.contains(key) && object[key].is_string(); }
};

/// Hands every line that is not empty to `take`, whose first error ends the reading. kNotFound, or kDataLoss naming
/// file and line.
Status read_json_lines(const std::string& path, FunctionRef<Status(JsonLine&)> take);

/// `error` of what was made from the line at `where`.
Error at_line(const std::string& where, Error error);

}  // namespace vortex::eval
