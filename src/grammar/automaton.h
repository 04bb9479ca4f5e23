// Automaton: a grammar as states that read bytes and call rules; what a matcher runs on. Nothing is left that reads
// no byte: each state lists all the bytes and calls that may come next. Every edge leads to a state from which the
// end of its rule can be reached.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "grammar/caps.h"
#include "grammar/lowering.h"

namespace vortex::grammar {

class Automaton {
 public:
  struct ByteEdge {
    ByteRange bytes;
    StateId target = 0;
    auto operator<=>(const ByteEdge&) const = default;
  };
  struct Call {
    RuleId rule = 0;
    StateId target = 0;  // when the rule has been read
    auto operator<=>(const Call&) const = default;
  };
  struct RuleInfo {
    StateId start = 0;
    uint32_t rank = 0;  // a rule calls at its start only rules of higher rank; kUnranked where it is never called
  };
  static constexpr uint32_t kUnranked = UINT32_MAX;

  /// kInvalidArgument for rules that match nothing, that call themselves before they read anything, and beyond caps.
  static Result<Automaton> build(const RuleSet& rules, const Caps& caps);

  std::span<const ByteEdge> edges(StateId s) const { return slice(edges_, states_[s].edges, states_[s + 1].edges); }
  std::span<const Call> calls(StateId s) const { return slice(calls_, states_[s].calls, states_[s + 1].calls); }
  /// The rule of the state may end here.
  bool is_final(StateId s) const { return states_[s].is_final; }
  /// It must: nothing may come next.
  bool is_tail(StateId s) const { return is_final(s) && edges(s).empty() && calls(s).empty(); }
  /// The least number of rules that must wait for one another from here to the end of the rule.
  int height(StateId s) const { return states_[s].height; }

  const RuleInfo& rule(RuleId r) const { return rules_[r]; }
  size_t rule_count() const { return rules_.size(); }
  RuleId root() const { return 0; }
  size_t bytes() const;

 private:
  friend class AutomatonBuilder;
  struct State {
    uint32_t edges = 0, calls = 0;  // of this state: up to those of the next
    int height = 0;
    bool is_final = false;
  };
  template <class T>
  static std::span<const T> slice(const std::vector<T>& all, uint32_t begin, uint32_t end) {
    return std::span(all).subspan(begin, end - begin);
  }

  std::vector<State> states_;  // and one more
  std::vector<ByteEdge> edges_;
  std::vector<Call> calls_;
  std::vector<RuleInfo> rules_;
};

}  // namespace vortex::grammar
