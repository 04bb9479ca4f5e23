// Named formats of strings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vortex::grammar {

struct Format {
  std::string pattern;                // of the whole string
  int64_t shortest = 0, longest = 0;  // characters
};

/// Nothing for a name that is not supported.
std::optional<Format> find_format(std::string_view name);
std::vector<std::string_view> format_names();

}  // namespace vortex::grammar
