// The steps from a network to an automaton.
#pragma once

#include <limits>
#include <optional>
#include <vector>

#include "base/result.h"
#include "grammar/automaton.h"

namespace vortex::grammar {

/// An automaton with states that may lead nowhere.
struct RawAutomaton {
  struct State {
    std::vector<Automaton::ByteEdge> edges;
    std::vector<Automaton::Call> calls;
    bool is_final = false;
    bool is_tail() const { return is_final && edges.empty() && calls.empty(); }
  };
  std::vector<State> states;
  std::vector<StateId> starts;  // by rule
};

/// Keeps the states where a byte or a call may lead, each with all that is reached from it without reading; a call
/// of a rule that matches the empty text is also a way past it. kInvalidArgument beyond the cap on edges.
Result<RawAutomaton> without_empty_edges(const Network& network, const Caps& caps);

inline constexpr int kNeverEnds = std::numeric_limits<int>::max();

/// By state: Automaton::height, or kNeverEnds. A call whose target is_tail() makes nothing wait.
std::vector<int> heights_of(const RawAutomaton& raw);

/// Fills RuleInfo::rank by rule, following calls that can end from the root. A rule that calls itself before it
/// reads anything is returned instead.
std::optional<RuleId> rank_rules(const RawAutomaton& raw, const std::vector<int>& heights,
                                 std::vector<uint32_t>& ranks);

}  // namespace vortex::grammar
