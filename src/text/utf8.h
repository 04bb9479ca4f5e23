// UTF-8: decode, encode, check, repair.
#pragma once

#include <string>
#include <string_view>

namespace vortex::text {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;
inline constexpr std::string_view kReplacementUtf8 = "\xEF\xBF\xBD";

/// What stands at a position of a byte string.
struct Utf8Unit {
  enum Kind { kCharacter, kInvalid, kIncomplete };
  Kind kind = kInvalid;
  char32_t code_point = kReplacementCharacter;
  size_t size = 1;  // bytes; for kInvalid the maximal subpart that one U+FFFD replaces (Unicode 15, 3.9)
};

/// Reads the unit at `pos` < text.size(). kIncomplete: the text ends inside a sequence that is right so far.
Utf8Unit utf8_unit(std::string_view text, size_t pos);

bool is_valid_utf8(std::string_view text);

/// Appends the encoding of a Unicode scalar value.
void append_utf8(char32_t code_point, std::string& out);

/// Appends `bytes` to `out` with each ill-formed part replaced by U+FFFD. Stops before an incomplete last
/// sequence. Returns the number of bytes consumed.
size_t append_repaired(std::string_view bytes, std::string& out);

/// All of `bytes`, ill-formed parts and an incomplete end replaced by U+FFFD.
std::string repaired_utf8(std::string_view bytes);

/// Calls body(code_point, begin, size) for each character of valid UTF-8.
template <class Body>
void for_each_character(std::string_view text, Body body) {
  for (size_t pos = 0; pos < text.size();) {
    const Utf8Unit unit = utf8_unit(text, pos);
    body(unit.code_point, pos, unit.size);
    pos += unit.size;
  }
}

}  // namespace vortex::text
