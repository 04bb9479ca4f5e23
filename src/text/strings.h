// Small string helpers.
#pragma once

#include <string>
#include <string_view>

namespace vortex::text {

/// Every occurrence of `from` (not empty), left to right.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

}  // namespace vortex::text
