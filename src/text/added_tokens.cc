#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode.h"

namespace vortex::text {
namespace {

uint64_t edge_key(int32_t node, char byte) {
  return uint64_t{static_cast<uint32_t>(node)} << 8 | static_cast<uint8_t>(byte);
}

bool touches(TextRange range, std::span<const TextRange> others) {
  const auto it = std::partition_point(others.begin(), others.end(),
                                       [range](const TextRange& other) { return other.end <= range.begin; });
  return it != others.end() && it->begin < range.end;
}

bool is_whole_word(std::string_view text, TextRange range) {
  const bool joined_before = range.begin > 0 && is_word_character(last_character(text.substr(0, range.begin)));
  return !joined_before && (range.end == text.size() || !is_word_character(first_character(text.substr(range.end))));
}

// The match with the white space that it takes, from `done` on.
TextRange widened(std::string_view text, TextRange range, const AddedToken& token, size_t done) {
  if (token.lstrip) range.begin -= trailing_whitespace(text.substr(done, range.begin - done));
  if (token.rstrip) range.end += leading_whitespace(text.substr(range.end));
  return range;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)), token_of_node_{-1} {
  for (size_t index = 0; index < tokens_.size(); ++index) {
    const std::string& content = tokens_[index].content;
    if (content.empty()) continue;
    starts_[static_cast<uint8_t>(content.front())] = true;
    int32_t node = 0;
    for (const char byte : content) {
      const auto fresh = static_cast<int32_t>(token_of_node_.size());
      if (edges_.insert(edge_key(node, byte), fresh)) token_of_node_.push_back(-1);
      node = *edges_.find(edge_key(node, byte));
    }
    token_of_node_[node] = static_cast<int32_t>(index);
  }
}

AddedTokens::Match AddedTokens::longest_match(std::string_view text, size_t pos,
                                              std::span<const TextRange> untrusted) const {
  Match longest;
  int32_t node = 0;
  for (size_t end = pos; end < text.size();) {
    const int32_t* child = edges_.find(edge_key(node, text[end]));
    if (child == nullptr) break;
    node = *child;
    ++end;
    if (token_of_node_[node] < 0) continue;
    const AddedToken& token = tokens_[token_of_node_[node]];
    const TextRange range{pos, end};
    if (!(token.special && touches(range, untrusted))) longest = {range, &token};
  }
  return longest;
}

std::vector<Segment> AddedTokens::split(std::string_view text, std::span<const TextRange> untrusted) const {
  std::vector<Segment> segments;
  size_t done = 0;
  for (size_t pos = 0; pos < text.size();) {
    const Match match = starts_[static_cast<uint8_t>(text[pos])] ? longest_match(text, pos, untrusted) : Match{};
    if (match.token == nullptr) {
      ++pos;
      continue;
    }
    pos = match.range.end;
    if (match.token->single_word && !is_whole_word(text, match.range)) continue;
    const TextRange range = widened(text, match.range, *match.token, done);
    if (range.begin > done) segments.push_back({{done, range.begin}, -1});
    segments.push_back({range, match.token->id});
    done = pos = range.end;
  }
  if (done < text.size()) segments.push_back({{done, text.size()}, -1});
  return segments;
}

}  // namespace vortex::text
