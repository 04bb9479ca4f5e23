// TokenTrie: the tokens that a grammar may choose from, as a tree of their bytes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "grammar/byte_classes.h"

namespace vortex::text {
class Tokenizer;
}

namespace vortex::grammar {

class TokenTrie {
 public:
  /// Nodes in depth-first order, so that a walk is a loop and a refused subtree is one jump.
  struct Node {
    uint8_t byte = 0;
    uint16_t depth = 0;       // bytes before this one
    uint16_t height = 0;      // bytes after it, at most
    uint32_t after = 0;       // the node after this one's subtree
    uint32_t tokens = 0;      // first of the tokens that end here; up to the first of the next node
    ByteClasses classes = 0;  // of the bytes after it
  };

  /// Tokens below `vocab_size` with text, but for special ones and `end_ids`.
  TokenTrie(const text::Tokenizer& tokenizer, std::vector<int32_t> end_ids, int64_t vocab_size);

  std::span<const Node> nodes() const { return {nodes_.data(), nodes_.size() - 1}; }
  std::span<const int32_t> tokens_at(uint32_t node) const {
    return std::span(tokens_).subspan(nodes_[node].tokens, nodes_[node + 1].tokens - nodes_[node].tokens);
  }
  /// Of the node and what is below it.
  std::span<const int32_t> tokens_of_subtree(uint32_t node) const {
    const uint32_t first = nodes_[node].tokens;
    return std::span(tokens_).subspan(first, nodes_[nodes_[node].after].tokens - first);
  }
  int max_depth() const { return max_depth_; }

  /// Empty for tokens that are not in the tree.
  std::string_view bytes_of(int32_t token) const;
  /// Of the vocabulary, each once.
  const std::vector<int32_t>& end_ids() const { return end_ids_; }
  bool is_end(int32_t token) const;
  int64_t vocab_size() const { return vocab_size_; }

 private:
  void add(std::string_view bytes, int32_t token, std::vector<uint32_t>& path);
  void leave(std::vector<uint32_t>& path);

  int64_t vocab_size_;
  std::vector<int32_t> end_ids_;
  std::vector<std::string_view> token_bytes_;  // by token; point into text_
  std::vector<char> text_;
  std::vector<Node> nodes_;  // and one more
  std::vector<int32_t> tokens_;
  int max_depth_ = 0;
};

}  // namespace vortex::grammar
