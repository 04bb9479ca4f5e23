// Operators and access to parts of values, with Python's rules and checked integers.
#pragma once

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"

namespace vortex::text::jinja {

Value arithmetic(Runtime& runtime, Operator op, const Value& a, const Value& b);
bool compare(Runtime& runtime, Operator op, const Value& a, const Value& b);
bool contains(Runtime& runtime, const Value& container, const Value& item);
Value negate(const Value& value);

/// value.name: an attribute or method, else an item, else undefined.
Value get_attribute(Runtime& runtime, const Value& value, std::string_view name);
/// value[key]: an item, else an attribute or method, else undefined.
Value get_item(Runtime& runtime, const Value& value, const Value& key);
/// value[start:stop:step]; undefined or none bounds are open.
Value get_slice(Runtime& runtime, const Value& value, const Value& start, const Value& stop, const Value& step);
/// Number of items or characters.
int64_t length(Runtime& runtime, const Value& value);
/// Escaped for HTML, marked as markup.
MarkedString escape_html(Runtime& runtime, const MarkedString& text);

}  // namespace vortex::text::jinja
