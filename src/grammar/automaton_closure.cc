// Takes out the edges that read nothing.
#include <algorithm>

#include "grammar/automaton_passes.h"
#include "grammar/errors.h"
#include "grammar/sort_unique.h"

namespace vortex::grammar {
namespace {

using Edge = NetworkEdge;

// Which rules match the empty text: follows from each start what reads nothing, and goes on past a call once its
// rule is known to be one. Each state is visited once.
class EmptyRules {
 public:
  explicit EmptyRules(const Network& network)
      : network_(network), seen_(network.first_edge.size()), waiting_(network.rules.size()), ends_rule_(seen_.size()) {
    empty_.resize(network.rules.size());
    for (size_t r = 0; r < network.rules.size(); ++r) ends_rule_[network.rules[r].end] = static_cast<RuleId>(r) + 1;
    for (const auto& rule : network.rules) reach(rule.start);
    while (!work_.empty()) {
      const StateId state = work_.back();
      work_.pop_back();
      visit(state);
    }
  }

  std::vector<bool> take() { return std::move(empty_); }

 private:
  void reach(StateId state) {
    if (seen_[state]) return;
    seen_[state] = true;
    work_.push_back(state);
  }

  void visit(StateId state) {
    if (ends_rule_[state] != 0) set_empty(ends_rule_[state] - 1);
    network_.for_each_edge(state, [this](const Edge& edge) {
      if (edge.kind == Edge::Kind::kEmpty || (edge.kind == Edge::Kind::kCall && empty_[edge.rule])) {
        reach(edge.target);
      } else if (edge.kind == Edge::Kind::kCall) {
        waiting_[edge.rule].push_back(edge.target);
      }
    });
  }

  void set_empty(RuleId rule) {
    empty_[rule] = true;
    for (StateId target : waiting_[rule]) reach(target);
  }

  const Network& network_;
  std::vector<bool> seen_, empty_;
  std::vector<std::vector<StateId>> waiting_;  // by rule: where calls of it go on
  std::vector<RuleId> ends_rule_;              // by state: the rule that it ends, plus one
  std::vector<StateId> work_;
};

class Closures {
 public:
  Closures(const Network& network, const Caps& caps)
      : network_(network),
        caps_(caps),
        empty_(EmptyRules(network).take()),
        number_(network.first_edge.size(), kNone),
        seen_at_(network.first_edge.size(), 0),
        is_end_(network.first_edge.size()) {
    for (const auto& rule : network.rules) is_end_[rule.end] = true;
  }

  Result<RawAutomaton> run() {
    for (const auto& rule : network_.rules) raw_.starts.push_back(keep(rule.start));
    for (size_t i = 0; i < kept_.size(); ++i) {
      raw_.states.emplace_back();
      close(kept_[i]);
      if (work_ > caps_.edges) {
        return refused("grammar", fmt::format("has more than {} ways to go on", caps_.edges),
                       "fewer optional parts after one another");
      }
    }
    return std::move(raw_);
  }

 private:
  static constexpr StateId kNone = UINT32_MAX;

  StateId keep(StateId state) {
    if (number_[state] == kNone) {
      number_[state] = static_cast<StateId>(kept_.size());
      kept_.push_back(state);
    }
    return number_[state];
  }

  void close(StateId origin) {
    stamp_ = static_cast<uint32_t>(raw_.states.size());
    std::vector<StateId> open = {origin};
    seen_at_[origin] = stamp_;
    while (!open.empty() && work_ <= caps_.edges) {
      const StateId state = open.back();
      open.pop_back();
      if (is_end_[state]) raw_.states.back().is_final = true;
      network_.for_each_edge(state, [&](const Edge& edge) { add(edge, open); });
    }
    sort_unique(raw_.states.back().edges);
    sort_unique(raw_.states.back().calls);
  }

  void add(const Edge& edge, std::vector<StateId>& open) {
    ++work_;
    RawAutomaton::State& out = raw_.states.back();
    if (edge.kind == Edge::Kind::kByte) out.edges.push_back({edge.bytes, keep(edge.target)});
    if (edge.kind == Edge::Kind::kCall) out.calls.push_back({edge.rule, keep(edge.target)});
    const bool reads_nothing = edge.kind == Edge::Kind::kEmpty || (edge.kind == Edge::Kind::kCall && empty_[edge.rule]);
    if (!reads_nothing || seen_at_[edge.target] == stamp_) return;
    seen_at_[edge.target] = stamp_;
    open.push_back(edge.target);
  }

  const Network& network_;
  const Caps& caps_;
  std::vector<bool> empty_;
  std::vector<StateId> number_;    // by state of the network: its number among the kept, or kNone
  std::vector<uint32_t> seen_at_;  // by state of the network: the stamp of the last closure that saw it
  std::vector<bool> is_end_;
  std::vector<StateId> kept_;
  RawAutomaton raw_;
  uint32_t stamp_ = 0;
  size_t work_ = 0;
};

}  // namespace

Result<RawAutomaton> without_empty_edges(const Network& network, const Caps& caps) {
  return Closures(network, caps).run();
}

}  // namespace vortex::grammar
