#include "grammar/automaton.h"

#include <algorithm>

#include "grammar/automaton_passes.h"
#include "grammar/errors.h"

namespace vortex::grammar {
namespace {

std::string rule_name(const RuleSet& rules, RuleId rule) {
  return rule < rules.rules().size() ? shortened(rules.rules()[rule].name) : "a repetition";
}

}  // namespace

// Copies what is alive of the raw states into the compact form.
class AutomatonBuilder {
 public:
  static Automaton pack(const RawAutomaton& raw, const std::vector<int>& heights, const std::vector<uint32_t>& ranks) {
    Automaton out;
    for (size_t s = 0; s < raw.states.size(); ++s) {
      const RawAutomaton::State& state = raw.states[s];
      out.states_.push_back({static_cast<uint32_t>(out.edges_.size()), static_cast<uint32_t>(out.calls_.size()),
                             heights[s], state.is_final});
      for (const auto& edge : state.edges) {
        if (heights[edge.target] != kNeverEnds) out.edges_.push_back(edge);
      }
      for (const auto& call : state.calls) {
        const bool ends = heights[raw.starts[call.rule]] != kNeverEnds && heights[call.target] != kNeverEnds;
        if (ends) out.calls_.push_back(call);
      }
    }
    out.states_.push_back(
        {static_cast<uint32_t>(out.edges_.size()), static_cast<uint32_t>(out.calls_.size()), 0, false});
    for (size_t r = 0; r < raw.starts.size(); ++r) out.rules_.push_back({raw.starts[r], ranks[r]});
    return out;
  }
};

Result<Automaton> Automaton::build(const RuleSet& rules, const Caps& caps) {
  VORTEX_ASSIGN_OR_RETURN(const Network network, lower(rules, caps));
  VORTEX_ASSIGN_OR_RETURN(const RawAutomaton raw, without_empty_edges(network, caps));
  const std::vector<int> heights = heights_of(raw);
  const int root_height = heights[raw.starts[0]];
  if (root_height == kNeverEnds) {
    return refused(rules.rules()[0].name, "no text matches, or none that ever ends",
                   "give every recursive rule or $ref an alternative that ends");
  }
  if (root_height >= caps.stack_depth) {
    return refused(rules.rules()[0].name, fmt::format("every text nests more than {} rules", caps.stack_depth));
  }
  std::vector<uint32_t> ranks;
  if (const auto looping = rank_rules(raw, heights, ranks)) {
    return refused(rule_name(rules, *looping), "the rule calls itself before it reads anything (left recursion)",
                   "write it with a repetition, or with the recursion at the end");
  }
  return AutomatonBuilder::pack(raw, heights, ranks);
}

size_t Automaton::bytes() const {
  return states_.size() * sizeof(State) + edges_.size() * sizeof(ByteEdge) + calls_.size() * sizeof(Call) +
         rules_.size() * sizeof(RuleInfo);
}

}  // namespace vortex::grammar
