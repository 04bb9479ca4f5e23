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
  /// kInvalidArgument with the offset for a bad pattern, and for one that exceeds its match limit on a few
  /// kilobytes of plain probes.
  static Result<Regex> compile(std::string_view pattern);

  /// All matches in valid UTF-8, left to right, not overlapping; empty ones included. A match that
  /// exceeds the work limit ends the list.
  std::vector<TextRange> find_all(std::string_view text) const;

 private:
  struct Code;
  explicit Regex(std::shared_ptr<const Code> code) : code_(std::move(code)) {}

  std::shared_ptr<const Code> code_;
};

/// `text` as a pattern that matches exactly itself.
std::string escaped_pattern(std::string_view text);

}  // namespace vortex::text
