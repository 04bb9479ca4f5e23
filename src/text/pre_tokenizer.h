// PreTokenizer: cuts normalized text into the words that BPE merges within, as a list of steps. Some steps
// rewrite the text (byte alphabet, metaspace) on the way.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "text/split.h"

namespace vortex::text {

/// Words are ranges of `text`, in order.
struct Words {
  std::string text;
  std::vector<TextRange> ranges;
};

struct PrefixSpaceStep {};   // a space before each word that does not begin with one
struct ByteAlphabetStep {};  // see byte_alphabet.h

struct MetaspaceStep {
  enum class Prepend { kAlways, kFirst, kNever };  // kFirst: only where the whole text begins
  std::string replacement;                         // for each space
  Prepend prepend = Prepend::kAlways;
};
using PreTokenizerStep = std::variant<Splitter, PrefixSpaceStep, ByteAlphabetStep, MetaspaceStep>;

class PreTokenizer {
 public:
  PreTokenizer() = default;
  explicit PreTokenizer(std::vector<PreTokenizerStep> steps) : steps_(std::move(steps)) {}

  /// `at_start`: nothing, not even a special token, comes before `text`.
  Words apply(std::string text, bool at_start) const;

 private:
  std::vector<PreTokenizerStep> steps_;
};

}  // namespace vortex::text
