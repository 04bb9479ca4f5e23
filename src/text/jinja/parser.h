// Template source to syntax tree.
#pragma once

#include <string_view>

#include "text/jinja/ast.h"

namespace vortex::text::jinja {

/// Throws Fault with the line. Nesting is bounded; time is linear in the source.
Block parse_template(std::string_view source);

}  // namespace vortex::text::jinja
