#include "grammar/regex_class.h"

#include <optional>
#include <string_view>

namespace vortex::grammar {
namespace {

const CharClass& digits() {
  static const CharClass kDigits = {{'0', '9'}};
  return kDigits;
}

const CharClass& word_characters() {
  static const CharClass kWord = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
  return kWord;
}

const CharClass& white_space() {
  static const CharClass kSpace = {{'\t', '\r'}, {' ', ' '}};
  return kSpace;
}

std::optional<CharClass> named_class(char letter) {
  switch (letter) {
    case 'd':
      return digits();
    case 'D':
      return digits().complement();
    case 'w':
      return word_characters();
    case 'W':
      return word_characters().complement();
    case 's':
      return white_space();
    case 'S':
      return white_space().complement();
    default:
      return std::nullopt;
  }
}

std::optional<char32_t> control_character(char letter) {
  switch (letter) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    default:
      return std::nullopt;
  }
}

bool is_letter_or_digit(char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

bool is_scalar_value(char32_t code_point) {
  return code_point <= 0x10FFFF && (code_point < 0xD800 || code_point > 0xDFFF);
}

// After \x, \u or \U: so many digits, or any number of them in braces.
Result<CharClass> hex_class(TextCursor& cursor, int digits) {
  std::optional<char32_t> value;
  if (cursor.take('{')) {
    for (int n = 6; n >= 1 && !value; --n) {
      if (cursor.peek(n) == '}') value = cursor.take_hex(n);
    }
    if (!cursor.take('}')) value.reset();
  } else {
    value = cursor.take_hex(digits);
  }
  if (!value || !is_scalar_value(*value)) return cursor.refused("a character's hexadecimal number is expected here");
  return CharClass::of(*value);
}

// One member of a bracket: a character, a class, or the first half of a range.
Result<CharClass> member(TextCursor& cursor) {
  if (cursor.at_end()) return cursor.refused("a [ without its ]", "write \\[ for the character");
  if (cursor.peek() == '\\') return escaped_class(cursor);
  if (cursor.starts_with("[:")) return cursor.refused("[:classes:] are not supported", "write the characters");
  return CharClass::of(cursor.take_character());
}

std::optional<char32_t> single(const CharClass& chars) {
  if (chars.ranges().size() != 1 || chars.ranges()[0].first != chars.ranges()[0].last) return std::nullopt;
  return chars.ranges()[0].first;
}

Result<CharClass> member_or_range(TextCursor& cursor) {
  VORTEX_ASSIGN_OR_RETURN(CharClass low, member(cursor));
  if (cursor.peek() != '-' || cursor.peek(1) == ']') return low;
  cursor.skip(1);
  VORTEX_ASSIGN_OR_RETURN(const CharClass high, member(cursor));
  const auto first = single(low), last = single(high);
  if (!first || !last || *first > *last)
    return cursor.refused("a range of characters from a lower to a higher is expected");
  return CharClass{{*first, *last}};
}

}  // namespace

Result<CharClass> escaped_class(TextCursor& cursor) {
  cursor.skip(1);
  if (cursor.at_end()) return cursor.refused("a \\ at the end");
  const char letter = cursor.peek();
  if (letter == 'x' || letter == 'u' || letter == 'U') {
    cursor.skip(1);
    return hex_class(cursor, letter == 'x' ? 2 : letter == 'u' ? 4 : 8);
  }
  if (!is_letter_or_digit(letter)) return CharClass::of(cursor.take_character());
  if (const auto chars = named_class(letter)) {
    cursor.skip(1);
    return *chars;
  }
  const auto control = control_character(letter);
  if (!control) return cursor.refused("this escape is not supported: \\" + std::string(1, letter));
  cursor.skip(1);
  return CharClass::of(*control);
}

Result<CharClass> bracket_class(TextCursor& cursor) {
  cursor.skip(1);
  const bool negated = cursor.take('^');
  if (cursor.peek() == ']') return cursor.refused("an empty class", "write \\] for the character");
  CharClass chars;
  while (!cursor.take(']')) {
    VORTEX_ASSIGN_OR_RETURN(const CharClass more, member_or_range(cursor));
    chars.add(more);
  }
  return negated ? chars.complement() : chars;
}

}  // namespace vortex::grammar
