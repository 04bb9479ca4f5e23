// CompiledGrammar: which tokens may follow at each frontier of one grammar. Computed when first asked for, then kept,
// for all matchers of the grammar. Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string_view>

#include "grammar/automaton.h"
#include "grammar/readings.h"
#include "grammar/token_trie.h"

namespace vortex::grammar {

/// What was met so far; when it has grown too large a new one takes its place, and each matcher moves over.
class Memory;

/// A matcher's place: a frontier and the memory that numbered it.
struct Place {
  std::shared_ptr<Memory> memory;
  FrontierId frontier = Readings::kDead;
};

class CompiledGrammar {
 public:
  CompiledGrammar(Automaton automaton, std::shared_ptr<const TokenTrie> trie, const Caps& caps);
  ~CompiledGrammar();

  Place start() const;

  /// Sets the bits of the tokens that may follow and clears all others; end tokens are left to the caller. Takes what
  /// it costs from `credit`, and stops with false when that is used up.
  bool fill(Place& place, std::span<uint32_t> bitmask, size_t& credit) const;
  /// The place after `bytes`; its frontier is kDead when they are not allowed.
  Place after(const Place& place, std::string_view bytes, size_t& credit) const;

  bool complete(const Place& place) const;
  bool can_go_on(const Place& place) const;

  const TokenTrie& trie() const { return *trie_; }
  const Caps& caps() const { return caps_; }
  /// The automaton and what is remembered now.
  size_t bytes() const;

 private:
  void move_to_current(Place& place) const;
  void forget_when_full() const;

  const Automaton automaton_;
  const std::shared_ptr<const TokenTrie> trie_;
  const Caps caps_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<Memory> current_;
};

}  // namespace vortex::grammar
