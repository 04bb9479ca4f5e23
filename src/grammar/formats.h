// Named formats of strings.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vortex::grammar {

/// A pattern for the whole string, or nothing for a name that is not supported.
std::optional<std::string> format_pattern(std::string_view name);
std::vector<std::string_view> format_names();

}  // namespace vortex::grammar
