#include "grammar/compiled_grammar.h"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/check.h"

namespace vortex::grammar {
namespace {

void set_bit(std::span<uint32_t> bitmask, int32_t token) { bitmask[token / 32] |= uint32_t{1} << (token % 32); }

// A walk stops when its memory is this many times its cap: frontiers that it meets are kept until it ends.
constexpr size_t kWalkSlack = 4;

// Nodes of a subtree that is worth a look at whether all of it may follow.
constexpr uint32_t kLargeSubtree = 6;

}  // namespace

/// A mask as words, or as the few tokens it allows.
struct Mask {
  std::vector<uint32_t> words;
  std::vector<int32_t> tokens;

  size_t bytes() const { return words.size() * sizeof(uint32_t) + tokens.size() * sizeof(int32_t) + sizeof(Mask); }

  void copy_to(std::span<uint32_t> bitmask) const {
    std::copy(words.begin(), words.end(), bitmask.begin());
    std::fill(bitmask.begin() + words.size(), bitmask.end(), 0);
    for (int32_t token : tokens) set_bit(bitmask, token);
  }
};

class Memory {
 public:
  Memory(const Automaton& automaton, const Caps& caps) : caps_(caps), readings_(automaton, caps) {}

  Readings& readings() { return readings_; }
  size_t bytes() const { return readings_.bytes() + mask_bytes_; }

  /// Null when the credit is used up.
  const Mask* mask(FrontierId frontier, const TokenTrie& trie, size_t& credit) {
    const auto it = masks_.find(frontier);
    if (it != masks_.end()) return &it->second;
    std::vector<int32_t> tokens;
    if (!walk(frontier, trie, tokens, credit)) return nullptr;
    Mask mask = packed(std::move(tokens), trie.vocab_size());
    mask_bytes_ += mask.bytes();
    return &masks_.emplace(frontier, std::move(mask)).first->second;
  }

 private:
  bool walk(FrontierId frontier, const TokenTrie& trie, std::vector<int32_t>& tokens, size_t& credit) {
    const auto nodes = trie.nodes();
    std::vector<const Readings::Table*> tables(trie.max_depth() + 1);
    std::vector<FrontierId> frontiers(trie.max_depth() + 1, Readings::kDead);
    tables[0] = table(frontier, credit);
    for (uint32_t n = 0; n < nodes.size() && credit > 0;) {
      const TokenTrie::Node& node = nodes[n];
      const FrontierId next = tables[node.depth]->next[node.byte];
      if (next == Readings::kDead) {
        n = node.after;
        continue;
      }
      if (node.after - n >= kLargeSubtree && all_go_on(next, node, credit)) {
        const auto all = trie.tokens_of_subtree(n);
        tokens.insert(tokens.end(), all.begin(), all.end());
        n = node.after;
        continue;
      }
      const auto here = trie.tokens_at(n);
      tokens.insert(tokens.end(), here.begin(), here.end());
      if (++n == node.after || next == frontiers[node.depth + 1]) continue;
      frontiers[node.depth + 1] = next;
      tables[node.depth + 1] = table(next, credit);
    }
    return credit > 0;
  }

  // All bytes below the node lead on, whichever come: as inside a string, where most tokens may follow.
  bool all_go_on(FrontierId frontier, const TokenTrie::Node& node, size_t& credit) {
    for (int i = 0; i < node.height; ++i) {
      const Readings::Table& here = *table(frontier, credit);
      if (here.main == Readings::kDead || (node.classes & ~here.main_classes) != 0) return false;
      if (here.main == frontier) return true;
      frontier = here.main;
    }
    return true;
  }

  const Readings::Table* table(FrontierId frontier, size_t& credit) {
    const size_t before = readings_.work();
    const Readings::Table& out = readings_.table(frontier);
    credit -= std::min(credit, readings_.work() - before);
    if (readings_.bytes() > kWalkSlack * caps_.runtime_bytes) credit = 0;
    return &out;
  }

  static Mask packed(std::vector<int32_t> tokens, int64_t vocab_size) {
    const auto words = static_cast<size_t>((vocab_size + 31) / 32);
    if (tokens.size() < words) return {{}, std::move(tokens)};
    Mask mask{std::vector<uint32_t>(words), {}};
    for (int32_t token : tokens) set_bit(mask.words, token);
    return mask;
  }

  const Caps& caps_;
  Readings readings_;
  std::unordered_map<FrontierId, Mask> masks_;
  size_t mask_bytes_ = 0;
};

CompiledGrammar::CompiledGrammar(Automaton automaton, std::shared_ptr<const TokenTrie> trie, const Caps& caps)
    : automaton_(std::move(automaton)),
      trie_(std::move(trie)),
      caps_(caps),
      current_(std::make_shared<Memory>(automaton_, caps_)) {}

CompiledGrammar::~CompiledGrammar() = default;

Place CompiledGrammar::start() const {
  const std::lock_guard lock(mutex_);
  return {current_, current_->readings().start()};
}

bool CompiledGrammar::fill(Place& place, std::span<uint32_t> bitmask, size_t& credit) const {
  VORTEX_CHECK(static_cast<int64_t>(bitmask.size()) * 32 >= trie_->vocab_size(), "a mask of {} words", bitmask.size());
  const std::lock_guard lock(mutex_);
  move_to_current(place);
  const Mask* mask = current_->mask(place.frontier, *trie_, credit);
  if (mask != nullptr) mask->copy_to(bitmask);
  forget_when_full();
  return mask != nullptr;
}

Place CompiledGrammar::after(const Place& place, std::string_view bytes, size_t& credit) const {
  const std::lock_guard lock(mutex_);
  Place next = place;
  move_to_current(next);
  Readings& readings = current_->readings();
  const size_t before = readings.work();
  for (const char c : bytes) next.frontier = readings.step(next.frontier, static_cast<uint8_t>(c));
  credit -= std::min(credit, readings.work() - before);
  forget_when_full();
  return next;
}

bool CompiledGrammar::complete(const Place& place) const {
  const std::lock_guard lock(mutex_);
  return place.memory->readings().complete(place.frontier);
}

bool CompiledGrammar::can_go_on(const Place& place) const {
  const std::lock_guard lock(mutex_);
  return place.memory->readings().can_go_on(place.frontier);
}

void CompiledGrammar::move_to_current(Place& place) const {
  if (place.memory == current_) return;
  place.frontier = current_->readings().adopt(place.memory->readings(), place.frontier);
  place.memory = current_;
}

void CompiledGrammar::forget_when_full() const {
  if (current_->bytes() > caps_.runtime_bytes) current_ = std::make_shared<Memory>(automaton_, caps_);
}

size_t CompiledGrammar::bytes() const {
  const std::lock_guard lock(mutex_);
  return automaton_.bytes() + current_->bytes();
}

}  // namespace vortex::grammar
