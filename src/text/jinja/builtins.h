// The names a template finds ready: filters, tests and global functions.
#pragma once

#include <string_view>

#include "text/jinja/runtime.h"

namespace vortex::text::jinja {

/// value|name(args). A fault for an unknown filter.
Value apply_filter(Runtime& runtime, std::string_view name, const Value& value, Args args);
/// value is name(args). A fault for an unknown test.
bool apply_test(Runtime& runtime, std::string_view name, const Value& value, Args args);
/// Global function, or null when there is none of this name.
const Value* find_global(std::string_view name);

bool is_filter(std::string_view name);
bool is_test(std::string_view name);

}  // namespace vortex::text::jinja
