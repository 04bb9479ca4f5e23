#include "text/bpe.h"

#include <algorithm>

#include "text/utf8.h"

namespace vortex::text {
namespace {

constexpr size_t kMaxSeenWords = 1 << 16;
constexpr size_t kMaxSeenBytes = 64;
constexpr size_t kMaxMergedBytes = size_t{1} << 28;  // symbol indices are 32-bit; longer words are cut
constexpr int32_t kNothing = -1;

// std heaps keep the largest on top.
constexpr auto kLater = [](const auto& a, const auto& b) { return a.order > b.order; };

uint64_t order_of(const Merge& merge, int32_t position) {
  return uint64_t{static_cast<uint32_t>(merge.rank)} << 32 | static_cast<uint32_t>(position);
}

size_t character_boundary(std::string_view text, size_t pos) {
  while (pos < text.size() && (static_cast<unsigned char>(text[pos]) & 0xC0) == 0x80) --pos;
  return pos;
}

}  // namespace

void BpeEncoder::encode(std::string_view word, std::vector<int32_t>& out) {
  const bool is_short = word.size() <= kMaxSeenBytes;
  if (const auto it = is_short ? seen_.find(word) : seen_.end(); it != seen_.end()) {
    const Seen seen = it->second;
    for (size_t i = 0; i < seen.count; ++i) out.push_back(int32_t{out[seen.begin + i]});
    return;
  }
  const size_t begin = out.size();
  encode_new(word, out);
  if (is_short && seen_.size() < kMaxSeenWords) seen_.emplace(word, Seen{begin, out.size() - begin});
}

void BpeEncoder::encode_new(std::string_view word, std::vector<int32_t>& out) {
  if (const auto it = tables_.words.find(word); it != tables_.words.end()) {
    out.push_back(it->second);
    return;
  }
  while (!word.empty()) {
    const size_t size = character_boundary(word, std::min(word.size(), kMaxMergedBytes));
    merge_word(word.substr(0, size), out);
    word.remove_prefix(size);
  }
}

void BpeEncoder::merge_word(std::string_view word, std::vector<int32_t>& out) {
  load_symbols(word);
  collect_candidates();
  apply_candidates();
  write_symbols(out);
}

void BpeEncoder::load_symbols(std::string_view word) {
  symbols_.clear();
  for_each_character(word, [&](char32_t c, size_t begin, size_t size) {
    if (const int32_t* id = tables_.characters.find(c)) {
      push_symbol(*id);
    } else {
      load_unlisted(word.substr(begin, size));
    }
  });
  if (!symbols_.empty()) symbols_.back().next = -1;
}

void BpeEncoder::load_unlisted(std::string_view character) {
  if (has_byte_tokens(character)) {
    for (const char c : character) push_symbol(tables_.byte_tokens[static_cast<uint8_t>(c)]);
    return;
  }
  const bool fuses = tables_.fuse_unknown && !symbols_.empty() && symbols_.back().id == tables_.unknown;
  if (tables_.unknown >= 0 && !fuses) push_symbol(tables_.unknown);
}

void BpeEncoder::push_symbol(int32_t id) {
  const auto index = static_cast<int32_t>(symbols_.size());
  symbols_.push_back({id, kNothing, index - 1, index + 1});
}

bool BpeEncoder::offer(int32_t left) {
  Symbol& symbol = symbols_[left];
  symbol.becomes = kNothing;
  if (symbol.next < 0) return false;
  const Merge* merge = tables_.merges.find(BpeTables::pair_key(symbol.id, symbols_[symbol.next].id));
  if (merge == nullptr) return false;
  symbol.becomes = merge->id;
  heap_.push_back({order_of(*merge, left), merge->id});
  return true;
}

void BpeEncoder::collect_candidates() {
  heap_.clear();
  for (int32_t left = 0; left < static_cast<int32_t>(symbols_.size()); ++left) offer(left);
  std::make_heap(heap_.begin(), heap_.end(), kLater);
}

void BpeEncoder::apply_candidates() {
  while (!heap_.empty()) {
    const Candidate candidate = heap_.front();
    std::pop_heap(heap_.begin(), heap_.end(), kLater);
    heap_.pop_back();
    const auto left = static_cast<int32_t>(candidate.order & UINT32_MAX);
    // A neighbour may have merged since the candidate was made.
    if (symbols_[left].becomes == candidate.id) merge_with_next(left, candidate.id);
  }
}

void BpeEncoder::merge_with_next(int32_t left, int32_t id) {
  Symbol& symbol = symbols_[left];
  Symbol& absorbed = symbols_[symbol.next];
  symbol.id = id;
  symbol.next = absorbed.next;
  if (symbol.next >= 0) symbols_[symbol.next].previous = left;
  absorbed.id = absorbed.becomes = kNothing;
  for (const int32_t changed : {symbol.previous, left}) {
    if (changed >= 0 && offer(changed)) std::push_heap(heap_.begin(), heap_.end(), kLater);
  }
}

void BpeEncoder::write_symbols(std::vector<int32_t>& out) const {
  for (const Symbol& symbol : symbols_) {
    if (symbol.id == kNothing) continue;
    if (symbol.id >= tables_.first_virtual) {
      write_virtual(symbol.id, out);
    } else {
      out.push_back(symbol.id);
    }
  }
}

void BpeEncoder::write_virtual(int32_t id, std::vector<int32_t>& out) const {
  const std::string& bytes = tables_.virtuals.at(id);
  if (has_byte_tokens(bytes)) {
    for (const char c : bytes) out.push_back(tables_.byte_tokens[static_cast<uint8_t>(c)]);
  } else if (tables_.unknown >= 0) {
    out.push_back(tables_.unknown);
  }
}

bool BpeEncoder::has_byte_tokens(std::string_view bytes) const {
  if (tables_.byte_tokens.empty()) return false;
  return std::all_of(bytes.begin(), bytes.end(),
                     [this](char c) { return tables_.byte_tokens[static_cast<uint8_t>(c)] >= 0; });
}

}  // namespace vortex::text
