// Python's view of characters: white space, line ends, case and what repr() shows as it is.
#pragma once

#include <cstddef>
#include <string_view>

#include "text/jinja/marked_string.h"

namespace vortex::text::jinja {

bool is_space(char32_t c);
bool is_line_end(char32_t c);
bool is_printable(char32_t c);
bool is_letter(char32_t c);
bool is_decimal(char32_t c);
bool is_upper(char32_t c);
bool is_lower(char32_t c);

/// Bytes of white space at the start, at the end.
size_t leading_space(std::string_view text);
size_t trailing_space(std::string_view text);

/// Number of code points.
size_t length_of(std::string_view text);
/// Byte offset of code point `index`, at most text.size().
size_t byte_offset(std::string_view text, size_t index);
/// Start of the character that ends before `end` > 0.
size_t previous_character(std::string_view text, size_t end);

void append_upper(char32_t c, bool is_untrusted, MarkedString& out);
void append_lower(char32_t c, bool is_untrusted, MarkedString& out);

}  // namespace vortex::text::jinja
