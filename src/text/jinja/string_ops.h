// Python's string operations on marked text; methods and filters share them.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "text/jinja/runtime.h"

namespace vortex::text::jinja {

/// Strips white space, or any of the characters in `chars`.
MarkedString strip(const MarkedString& string, std::optional<std::string_view> chars, bool left, bool right);
/// count < 0: all. What is put in keeps its own marks.
MarkedString replace(Runtime& runtime, const MarkedString& string, std::string_view old, const MarkedString& with,
                     int64_t count);
/// By white space, or by `separator`; at most `limit` cuts (negative: no limit), from the right if so asked.
std::vector<Value> split(Runtime& runtime, const MarkedString& string, std::optional<std::string_view> separator,
                         int64_t limit, bool from_right);
std::vector<MarkedString> split_lines(Runtime& runtime, const MarkedString& string, bool keep_ends);
MarkedString join(Runtime& runtime, const MarkedString& separator, const std::vector<Value>& items);

MarkedString upper(Runtime& runtime, const MarkedString& string);
MarkedString lower(Runtime& runtime, const MarkedString& string);
MarkedString swap_case(Runtime& runtime, const MarkedString& string);
MarkedString capitalize(Runtime& runtime, const MarkedString& string);
/// str.title(): capitals after anything that is no letter.
MarkedString title(Runtime& runtime, const MarkedString& string);
/// The `title` filter: capitals after white space, hyphens and brackets.
MarkedString title_words(Runtime& runtime, const MarkedString& string);
MarkedString reversed(Runtime& runtime, const MarkedString& string);
MarkedString indent(Runtime& runtime, const MarkedString& string, const MarkedString& by, bool first, bool blank);

}  // namespace vortex::text::jinja
