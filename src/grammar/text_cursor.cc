#include "grammar/text_cursor.h"

#include <algorithm>

#include "grammar/errors.h"
#include "grammar/rules.h"
#include "text/utf8.h"

namespace vortex::grammar {
namespace {

std::optional<int> hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return std::nullopt;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool TextCursor::take(char expected) {
  if (at_end() || peek() != expected) return false;
  ++pos_;
  return true;
}

bool TextCursor::take(std::string_view expected) {
  if (!starts_with(expected)) return false;
  pos_ += expected.size();
  return true;
}

char32_t TextCursor::take_character() {
  const text::Utf8Unit unit = text::utf8_unit(text_, pos_);
  pos_ += unit.size;
  return unit.code_point;
}

std::optional<char32_t> TextCursor::take_hex(int digits) {
  char32_t value = 0;
  for (int i = 0; i < digits; ++i) {
    const auto digit = hex_digit(peek(i));
    if (!digit) return std::nullopt;
    value = value << 4 | static_cast<char32_t>(*digit);
  }
  skip(digits);
  return value;
}

std::optional<int64_t> TextCursor::take_number() {
  if (!is_digit(peek())) return std::nullopt;
  int64_t value = 0;
  for (; is_digit(peek()); ++pos_) value = std::min(kMaxNumber, value * 10 + (peek() - '0'));
  return value;
}

Error TextCursor::refused(std::string message, std::string hint) const {
  return grammar::refused(fmt::format("{}: byte {}", where_, pos_), std::move(message), std::move(hint));
}

Result<std::optional<Bounds>> quantifier(TextCursor& cursor) {
  if (cursor.take('*')) return std::optional(Bounds{0, kUnbounded});
  if (cursor.take('+')) return std::optional(Bounds{1, kUnbounded});
  if (cursor.take('?')) return std::optional(Bounds{0, 1});
  if (cursor.peek() != '{') return std::optional<Bounds>();
  cursor.skip(1);
  const auto min = cursor.take_number();
  const bool comma = cursor.take(',');
  const auto max = comma ? cursor.take_number() : min;
  if (!min || !cursor.take('}')) return cursor.refused("{m}, {m,} or {m,n} is expected here");
  const Bounds bounds{*min, max.value_or(kUnbounded)};
  if (max && *max < *min) return cursor.refused(fmt::format("{{{},{}}} is empty", *min, *max));
  return std::optional(bounds);
}

}  // namespace vortex::grammar
