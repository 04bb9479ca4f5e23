// TextCursor: a place in a source of valid UTF-8, for hand-written parsers.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace vortex::grammar {

class TextCursor {
 public:
  /// `where`: what the source is called in messages.
  TextCursor(std::string_view text, std::string_view where) : text_(text), where_(where) {}

  bool at_end() const { return pos_ == text_.size(); }
  size_t position() const { return pos_; }
  /// NUL beyond the end.
  char peek(size_t ahead = 0) const { return pos_ + ahead < text_.size() ? text_[pos_ + ahead] : '\0'; }
  bool starts_with(std::string_view prefix) const { return text_.substr(pos_).starts_with(prefix); }

  void skip(size_t bytes) { pos_ += bytes; }
  /// Skips `expected` if it is next.
  bool take(char expected);
  bool take(std::string_view expected);
  /// Not at the end.
  char32_t take_character();
  /// Exactly `digits` hexadecimal digits, or nothing is taken.
  std::optional<char32_t> take_hex(int digits);
  /// Decimal digits; nothing when there are none. Saturates at kMaxNumber.
  std::optional<int64_t> take_number();
  static constexpr int64_t kMaxNumber = 1'000'000'000'000;

  /// kInvalidArgument with the position.
  Error refused(std::string message, std::string hint = {}) const;

 private:
  std::string_view text_;
  std::string_view where_;
  size_t pos_ = 0;
};

struct Bounds {
  int64_t min = 0, max = 0;  // max: kUnbounded without a bound
};

/// One of * + ? {m} {m,} {m,n}, or nothing when none is next. kInvalidArgument for m > n.
Result<std::optional<Bounds>> quantifier(TextCursor& cursor);

}  // namespace vortex::grammar
