// AddedTokens: finds the tokens that stand in a text as themselves (control tokens and user-defined words)
// before the rest is normalized and split.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/flat_map.h"
#include "text/text_range.h"

namespace vortex::text {

struct AddedToken {
  int32_t id = -1;
  std::string content;
  bool special = false;      // control: only trusted text may hold it
  bool normalized = false;   // sought in the normalized text (plain tokens only; control tokens never are)
  bool single_word = false;  // not inside a longer word
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
};

/// A part of a text: plain (id -1) or one added token with the white space it takes.
struct Segment {
  TextRange range;
  int32_t id = -1;
};

class AddedTokens {
 public:
  AddedTokens() = default;
  explicit AddedTokens(std::vector<AddedToken> tokens);

  bool empty() const { return tokens_.empty(); }
  const std::vector<AddedToken>& tokens() const { return tokens_; }

  /// Cuts valid UTF-8 into segments, leftmost longest match first. A special token that touches one of
  /// `untrusted` (sorted, disjoint) is plain text.
  std::vector<Segment> split(std::string_view text, std::span<const TextRange> untrusted) const;

 private:
  struct Match {
    TextRange range;
    const AddedToken* token = nullptr;
  };

  Match longest_match(std::string_view text, size_t pos, std::span<const TextRange> untrusted) const;

  std::vector<AddedToken> tokens_;
  // A trie: edges_ maps (node, byte) to a node; token_of_node_ is an index of tokens_, or -1.
  FlatMap<int32_t> edges_;
  std::vector<int32_t> token_of_node_;
  bool starts_[256] = {};
};

}  // namespace vortex::text
