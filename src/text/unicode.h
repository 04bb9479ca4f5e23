// Unicode normalization forms and character classes. Input is valid UTF-8.
#pragma once

#include <string>
#include <string_view>

namespace vortex::text {

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

/// O(n log n) on any input, long runs of combining marks included (tables: Unicode 15).
std::string normalize_unicode(std::string_view text, NormalForm form);

/// Unconditional lower case of each character (no final-sigma rule, no locale).
std::string lowercase(std::string_view text);

/// Property White_Space.
bool is_whitespace(char32_t code_point);

/// What a regular expression calls \w: letters, marks, decimal and letter numbers, connectors, joiners.
bool is_word_character(char32_t code_point);

/// Length in bytes of the white space at the start and at the end of `text`.
size_t leading_whitespace(std::string_view text);
size_t trailing_whitespace(std::string_view text);

/// First and last character; `text` is not empty.
char32_t first_character(std::string_view text);
char32_t last_character(std::string_view text);

}  // namespace vortex::text
