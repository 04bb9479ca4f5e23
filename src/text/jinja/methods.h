// Methods of strings, lists and dicts.
#pragma once

#include <string_view>

#include "text/jinja/runtime.h"

namespace vortex::text::jinja {

/// True when Python's type has an attribute `name`. Methods that change their object, or that we lack, come back
/// undefined, so that calling them is a fault that says so.
bool find_method(const Value& value, std::string_view name, Value* method);

}  // namespace vortex::text::jinja
