#include <algorithm>
#include <utility>

#include "grammar/compiled_grammar.h"
#include "grammar/grammar.h"

namespace vortex::grammar {
namespace {

// A token earns this part of Caps::step_work: what a grammar may cost on average, every step.
constexpr size_t kTokensForAllWork = 100;

}  // namespace

struct GrammarMatcher::State {
  std::shared_ptr<const CompiledGrammar> grammar;
  Place place;
  size_t credit = 0;
  bool ended = false;  // by an end token, or dead
};

GrammarMatcher::GrammarMatcher(std::shared_ptr<const CompiledGrammar> grammar)
    : state_(new State{grammar, grammar->start(), grammar->caps().step_work}) {}
GrammarMatcher::GrammarMatcher(const GrammarMatcher& other) : state_(new State(*other.state_)) {}
GrammarMatcher& GrammarMatcher::operator=(const GrammarMatcher& other) {
  *state_ = *other.state_;
  return *this;
}
GrammarMatcher::~GrammarMatcher() = default;

bool GrammarMatcher::allowed(std::span<uint32_t> bitmask) {
  State& s = *state_;
  if (!s.ended) s.ended = !s.grammar->fill(s.place, bitmask, s.credit);
  if (s.ended) std::fill(bitmask.begin(), bitmask.end(), 0);
  if (can_end()) {
    for (int32_t token : s.grammar->trie().end_ids()) bitmask[token / 32] |= uint32_t{1} << (token % 32);
  }
  return std::any_of(bitmask.begin(), bitmask.end(), [](uint32_t word) { return word != 0; });
}

bool GrammarMatcher::accept(int32_t token) {
  State& s = *state_;
  if (s.ended) return false;
  if (s.grammar->trie().is_end(token)) {
    s.ended = can_end();
    return s.ended;
  }
  const std::string_view bytes = s.grammar->trie().bytes_of(token);
  if (bytes.empty()) return false;
  Place next = s.grammar->after(s.place, bytes, s.credit);
  if (next.frontier == Readings::kDead) return false;
  s.place = std::move(next);
  const size_t all = s.grammar->caps().step_work;
  s.credit = std::min(all, s.credit + all / kTokensForAllWork);
  return true;
}

bool GrammarMatcher::can_end() const { return !state_->ended && state_->grammar->complete(state_->place); }
bool GrammarMatcher::must_end() const { return can_end() && !state_->grammar->can_go_on(state_->place); }

}  // namespace vortex::grammar
