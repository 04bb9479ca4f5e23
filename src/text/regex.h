// Regex: a compiled pattern for pre-tokenizers (PCRE2, just-in-time code, Unicode classes, bounded work).
// Patterns are read as tokenizer files mean them (Oniguruma, Ruby syntax): \s is White_Space, ^ and $ match
// at lines. Thread-safe once built.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/text_range.h"

namespace vortex::text {

class Regex {
 public:
  /// kInvalidArgument with the offset for a bad pattern, and for one that exceeds its limits on a few kilobytes of
  /// one letter, of any that it names.
  static Result<Regex> compile(std::string_view pattern);

  /// All matches in valid UTF-8, left to right, not overlapping; empty ones included. Work is bounded: a
  /// match of too many steps, or a search that takes more than 50 ms + 10 us a byte, ends the list, with a warning.
  std::vector<TextRange> find_all(std::string_view text) const;

 private:
  struct Code;
  explicit Regex(std::shared_ptr<const Code> code) : code_(std::move(code)) {}

  std::shared_ptr<const Code> code_;
};

/// `text` as a pattern that matches exactly itself.
std::string escaped_pattern(std::string_view text);

}  // namespace vortex::text
