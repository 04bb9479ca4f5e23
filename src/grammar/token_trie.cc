#include "grammar/token_trie.h"

#include <algorithm>

#include "grammar/sort_unique.h"
#include "text/tokenizer.h"

namespace vortex::grammar {
namespace {

// Longer tokens are runs of one character or damage; none is needed to spell a text.
constexpr size_t kMaxTokenBytes = 1024;

}  // namespace

TokenTrie::TokenTrie(const text::Tokenizer& tokenizer, std::vector<int32_t> end_ids, int64_t vocab_size)
    : vocab_size_(vocab_size), end_ids_(std::move(end_ids)) {
  sort_unique(end_ids_);
  std::erase_if(end_ids_, [=](int32_t id) { return id < 0 || id >= vocab_size; });

  std::vector<int32_t> order;
  const auto count = static_cast<int32_t>(std::min<int64_t>(vocab_size, tokenizer.vocab_size()));
  size_t total = 0;
  for (int32_t id = 0; id < count; ++id) {
    const size_t size = tokenizer.token_bytes(id).size();
    const bool usable = size > 0 && size <= kMaxTokenBytes && !tokenizer.is_special(id) && id != tokenizer.unk_id();
    if (!usable || is_end(id)) continue;
    order.push_back(id);
    total += size;
  }
  text_.reserve(total);
  token_bytes_.resize(count);
  for (int32_t id : order) {
    const std::string_view bytes = tokenizer.token_bytes(id);
    token_bytes_[id] = {text_.data() + text_.size(), bytes.size()};
    text_.insert(text_.end(), bytes.begin(), bytes.end());
  }
  std::stable_sort(order.begin(), order.end(),
                   [this](int32_t a, int32_t b) { return token_bytes_[a] < token_bytes_[b]; });
  std::vector<uint32_t> path;
  for (int32_t id : order) add(token_bytes_[id], id, path);
  while (!path.empty()) leave(path);
  nodes_.push_back({.tokens = static_cast<uint32_t>(tokens_.size())});
}

// `path`: the nodes of the last token's bytes. Tokens come in the order of their bytes.
void TokenTrie::add(std::string_view bytes, int32_t token, std::vector<uint32_t>& path) {
  size_t shared = 0;
  while (shared < path.size() && shared < bytes.size() &&
         nodes_[path[shared]].byte == static_cast<uint8_t>(bytes[shared])) {
    ++shared;
  }
  while (path.size() > shared) leave(path);
  for (size_t i = shared; i < bytes.size(); ++i) {
    path.push_back(static_cast<uint32_t>(nodes_.size()));
    nodes_.push_back({.byte = static_cast<uint8_t>(bytes[i]),
                      .depth = static_cast<uint16_t>(i),
                      .tokens = static_cast<uint32_t>(tokens_.size())});
  }
  tokens_.push_back(token);
  max_depth_ = std::max(max_depth_, static_cast<int>(bytes.size()));
}

// The last node of the path has all its subtree now.
void TokenTrie::leave(std::vector<uint32_t>& path) {
  Node& node = nodes_[path.back()];
  node.after = static_cast<uint32_t>(nodes_.size());
  path.pop_back();
  if (path.empty()) return;
  Node& parent = nodes_[path.back()];
  parent.height = std::max<uint16_t>(parent.height, node.height + 1);
  parent.classes |= node.classes | ByteClasses{1} << byte_class(node.byte);
}

std::string_view TokenTrie::bytes_of(int32_t token) const {
  return token >= 0 && static_cast<size_t>(token) < token_bytes_.size() ? token_bytes_[token] : std::string_view();
}

bool TokenTrie::is_end(int32_t token) const { return std::binary_search(end_ids_.begin(), end_ids_.end(), token); }

}  // namespace vortex::grammar
