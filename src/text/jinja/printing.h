// How values print: Python's str(), repr() and json.dumps().
#pragma once

#include <string>

#include "text/jinja/runtime.h"

namespace vortex::text::jinja {

/// Python's shortest text that reads back as the same float.
std::string float_text(double number);
MarkedString to_text(Runtime& runtime, const Value& value);
void append_text(Runtime& runtime, const Value& value, MarkedString& out);
void append_repr(Runtime& runtime, const Value& value, MarkedString& out);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool has_indent = false;
  MarkedString indent;  // of one level
  MarkedString item_separator;
  MarkedString key_separator;
};
void append_json(Runtime& runtime, const Value& value, const JsonStyle& style, MarkedString& out);

}  // namespace vortex::text::jinja
