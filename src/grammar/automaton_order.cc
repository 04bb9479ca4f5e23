// What ends, how deep it must nest, and which rule calls which at its start.
#include <algorithm>

#include "grammar/automaton_passes.h"

namespace vortex::grammar {
namespace {

// Knuth's generalization of Dijkstra's algorithm: states are settled in the order of their heights, from the ends of
// the rules backwards; a call counts once both its rule and its target are settled.
class Heights {
 public:
  explicit Heights(const RawAutomaton& raw)
      : raw_(raw),
        heights_(raw.states.size(), kNeverEnds),
        into_(raw.states.size()),
        callers_(raw.starts.size()),
        started_by_(raw.states.size()) {
    for (size_t r = 0; r < raw.starts.size(); ++r) started_by_[raw.starts[r]].push_back(static_cast<RuleId>(r));
    for (size_t s = 0; s < raw.states.size(); ++s) index(static_cast<StateId>(s));
  }

  std::vector<int> run() {
    for (size_t s = 0; s < raw_.states.size(); ++s) {
      if (raw_.states[s].is_final) offer(static_cast<StateId>(s), 0);
    }
    for (size_t level = 0; level < levels_.size(); ++level) {
      while (!levels_[level].empty()) {
        const StateId state = levels_[level].back();
        levels_[level].pop_back();
        if (heights_[state] == kNeverEnds) settle(state, static_cast<int>(level));
      }
    }
    return std::move(heights_);
  }

 private:
  struct Origin {
    StateId from = 0;
    const Automaton::Call* call = nullptr;  // null: a byte
  };

  void index(StateId s) {
    for (const auto& edge : raw_.states[s].edges) into_[edge.target].push_back({s, nullptr});
    for (const auto& call : raw_.states[s].calls) {
      into_[call.target].push_back({s, &call});
      callers_[call.rule].push_back({s, &call});
    }
  }

  void offer(StateId state, int height) {
    if (levels_.size() <= static_cast<size_t>(height)) levels_.resize(height + 1);
    levels_[height].push_back(state);
  }

  void settle(StateId state, int height) {
    heights_[state] = height;
    for (const Origin& origin : into_[state]) origin.call ? offer_call(origin) : offer(origin.from, height);
    for (RuleId rule : started_by_[state]) {
      for (const Origin& origin : callers_[rule]) offer_call(origin);
    }
  }

  void offer_call(const Origin& origin) {
    const int body = heights_[raw_.starts[origin.call->rule]], after = heights_[origin.call->target];
    if (body == kNeverEnds || after == kNeverEnds) return;
    const int waiting = raw_.states[origin.call->target].is_tail() ? 0 : 1;
    offer(origin.from, std::max(body + waiting, after));
  }

  const RawAutomaton& raw_;
  std::vector<int> heights_;
  std::vector<std::vector<Origin>> into_;     // by state
  std::vector<std::vector<Origin>> callers_;  // by rule
  std::vector<std::vector<RuleId>> started_by_;
  std::vector<std::vector<StateId>> levels_;  // states offered each height
};

// Depth first, without recursion: a rule gets its rank after all that it calls.
class Ranks {
 public:
  Ranks(const RawAutomaton& raw, const std::vector<int>& heights)
      : raw_(raw), heights_(heights), mark_(raw.starts.size()), order_(reachable_rules()) {}

  std::optional<RuleId> run(std::vector<uint32_t>& ranks) {
    ranks.assign(raw_.starts.size(), Automaton::kUnranked);
    auto next = static_cast<uint32_t>(order_.size());
    for (RuleId root : order_) {
      if (mark_[root] != Mark::kNew) continue;
      push(root);
      while (!path_.empty()) {
        Visit& visit = path_.back();
        const auto& calls = raw_.states[raw_.starts[visit.rule]].calls;
        if (visit.next_call == calls.size()) {
          mark_[visit.rule] = Mark::kDone;
          ranks[visit.rule] = --next;
          path_.pop_back();
          continue;
        }
        const Automaton::Call& call = calls[visit.next_call++];
        if (!ends(call)) continue;
        if (mark_[call.rule] == Mark::kOnPath) return call.rule;
        if (mark_[call.rule] == Mark::kNew) push(call.rule);
      }
    }
    return std::nullopt;
  }

 private:
  enum class Mark : uint8_t { kNew, kOnPath, kDone };
  struct Visit {
    RuleId rule = 0;
    size_t next_call = 0;
  };

  bool ends(const Automaton::Call& call) const {
    return heights_[raw_.starts[call.rule]] != kNeverEnds && heights_[call.target] != kNeverEnds;
  }

  void push(RuleId rule) {
    mark_[rule] = Mark::kOnPath;
    path_.push_back({rule});
  }

  // Over states, not rules: which state belongs to which rule is not recorded.
  std::vector<RuleId> reachable_rules() const {
    std::vector<RuleId> found;
    std::vector<bool> seen_state(raw_.states.size()), seen_rule(raw_.starts.size());
    std::vector<StateId> open;
    const auto reach = [&](StateId s) {
      if (!seen_state[s]) open.push_back(s);
      seen_state[s] = true;
    };
    const auto call = [&](RuleId rule) {
      if (!seen_rule[rule]) found.push_back(rule);
      seen_rule[rule] = true;
      reach(raw_.starts[rule]);
    };
    call(0);
    while (!open.empty()) {
      const RawAutomaton::State& state = raw_.states[open.back()];
      open.pop_back();
      for (const auto& edge : state.edges) reach(edge.target);
      for (const auto& c : state.calls) {
        if (!ends(c)) continue;
        call(c.rule);
        reach(c.target);
      }
    }
    return found;
  }

  const RawAutomaton& raw_;
  const std::vector<int>& heights_;
  std::vector<Mark> mark_;
  std::vector<RuleId> order_;
  std::vector<Visit> path_;
};

}  // namespace

std::vector<int> heights_of(const RawAutomaton& raw) { return Heights(raw).run(); }

std::optional<RuleId> rank_rules(const RawAutomaton& raw, const std::vector<int>& heights,
                                 std::vector<uint32_t>& ranks) {
  return Ranks(raw, heights).run(ranks);
}

}  // namespace vortex::grammar
