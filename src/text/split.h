// split(): cuts a text at the matches of a pattern, in the five ways of tokenizer.json.
#pragma once

#include <string_view>
#include <vector>

#include "text/regex.h"
#include "text/text_range.h"

namespace vortex::text {

enum class SplitBehavior {
  kRemoved,             // matches vanish
  kIsolated,            // each match is a piece
  kMergedWithPrevious,  // a match ends the piece before it
  kMergedWithNext,      // a match begins the piece after it
  kContiguous,          // neighbouring matches are one piece
};

struct Splitter {
  Regex pattern;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  // what lies between the matches takes their part

  /// Appends the non-empty pieces of text[range] to `out`, in order, as ranges of `text`. The pattern sees
  /// the range alone.
  void split(std::string_view text, TextRange range, std::vector<TextRange>& out) const;
};

}  // namespace vortex::text
