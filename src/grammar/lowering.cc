#include "grammar/lowering.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "grammar/errors.h"

namespace vortex::grammar {
namespace {

// Takes no more states written out than a call of it would.
bool is_small(const Expr& expr) {
  switch (expr.kind) {
    case Expr::Kind::kRule:
      return true;
    case Expr::Kind::kBytes:
      return expr.words[0].size() == 1;
    case Expr::Kind::kClass:
      return expr.chars.empty() || expr.chars.ranges().back().last < 0x80;
    default:
      return false;
  }
}

class Lowering {
 public:
  Lowering(const RuleSet& rules, const Caps& caps) : rules_(rules), caps_(caps) {}

  Result<Network> run() {
    for (size_t i = 0; i < rules_.rules().size(); ++i) add_rule();
    for (size_t i = 0; i < rules_.rules().size(); ++i) lower_rule(static_cast<RuleId>(i), rules_.rules()[i].body);
    if (full()) {
      return refused(
          "grammar",
          fmt::format("needs more than {} rules, {} states or {} edges", caps_.rules, caps_.states, caps_.edges),
          "use fewer rules, or smaller bounds of repetition and length");
    }
    return std::move(network_);
  }

 private:
  bool full() const {
    return network_.rules.size() > caps_.rules || network_.first_edge.size() > caps_.states ||
           network_.edges.size() > caps_.edges;
  }

  StateId add_state() {
    network_.first_edge.push_back(kNoEdge);
    return static_cast<StateId>(network_.first_edge.size() - 1);
  }

  RuleId add_rule() {
    const StateId start = add_state(), end = add_state();
    network_.rules.push_back({start, end});
    return static_cast<RuleId>(network_.rules.size() - 1);
  }

  void lower_rule(RuleId rule, ExprId body) {
    const Network::RuleStates states = network_.rules[rule];
    lower(body, states.start, states.end);
  }

  void add_edge(StateId from, NetworkEdge edge) {
    edge.next = std::exchange(network_.first_edge[from], static_cast<uint32_t>(network_.edges.size()));
    network_.edges.push_back(edge);
  }
  void add_empty(StateId from, StateId to) { add_edge(from, {.target = to}); }
  void add_byte(StateId from, ByteRange bytes, StateId to) {
    add_edge(from, {.kind = NetworkEdge::Kind::kByte, .bytes = bytes, .target = to});
  }

  // Every kind but kRepeat adds only edges out of `from` and into `to`; kRepeat makes states of its own to loop on.
  // So alternatives may share both ends. Stops adding once a cap is passed.
  void lower(ExprId id, StateId from, StateId to) {
    if (full()) return;
    const Expr& expr = rules_.expr(id);
    switch (expr.kind) {
      case Expr::Kind::kBytes:
      case Expr::Kind::kWords:
        return lower_words(expr.words, from, to);
      case Expr::Kind::kClass:
        return lower_class(expr.chars, from, to);
      case Expr::Kind::kSequence:
        return lower_sequence(expr.children, from, to);
      case Expr::Kind::kChoice:
        for (ExprId child : expr.children) lower(child, from, to);
        return;
      case Expr::Kind::kPrefix:
        return lower_prefix(expr.children, from, to);
      case Expr::Kind::kRepeat:
        return lower_repeat(expr, from, to);
      case Expr::Kind::kRule:
        return add_edge(from, {.kind = NetworkEdge::Kind::kCall, .rule = expr.rule, .target = to});
    }
  }

  // A tree of the words, so that many with the same beginning are read as one.
  void lower_words(const std::vector<std::string>& words, StateId from, StateId to) {
    std::map<std::pair<StateId, uint8_t>, StateId> tree;
    for (const std::string& word : words) {
      StateId at = from;
      for (const char c : word) {
        if (full()) return;
        const auto byte = static_cast<uint8_t>(c);
        const auto [it, is_new] = tree.try_emplace({at, byte}, 0);
        if (is_new) {
          it->second = add_state();
          add_byte(at, {byte, byte}, it->second);
        }
        at = it->second;
      }
      add_empty(at, to);
    }
  }

  // Sequences with the same rest share its states.
  void lower_class(const CharClass& chars, StateId from, StateId to) {
    std::map<ByteSequence, StateId> rests = {{ByteSequence(), to}};
    for (const ByteSequence& sequence : utf8_sequences(chars)) {
      StateId at = to;
      for (size_t i = sequence.size(); i-- > 1;) {
        const auto [it, is_new] = rests.try_emplace(ByteSequence(sequence.begin() + i, sequence.end()), 0);
        if (is_new) {
          it->second = add_state();
          add_byte(it->second, sequence[i], at);
        }
        at = it->second;
      }
      add_byte(from, sequence[0], at);
    }
  }

  void lower_sequence(const std::vector<ExprId>& children, StateId from, StateId to) {
    for (ExprId child : children) {
      const StateId next = add_state();
      lower(child, from, next);
      from = next;
    }
    add_empty(from, to);
  }

  void lower_prefix(const std::vector<ExprId>& children, StateId from, StateId to) {
    for (ExprId child : children) {
      add_empty(from, to);
      const StateId next = add_state();
      lower(child, from, next);
      from = next;
    }
    add_empty(from, to);
  }

  void lower_repeat(const Expr& expr, StateId from, StateId to) {
    const int64_t copies = std::max(expr.min, expr.max);
    const ExprId child = expr.children[0];
    const bool in_place = copies <= 1 || is_small(rules_.expr(child));
    const auto one = [&](StateId a, StateId b) { in_place ? lower(child, a, b) : lower_copy(child, a, b); };
    const int64_t fixed = expr.max == kUnbounded && expr.min > 0 ? expr.min - 1 : expr.min;
    for (int64_t i = 0; i < fixed && !full(); ++i) from = extended(from, one);
    if (expr.max == kUnbounded) return lower_loop(expr.min > 0, from, to, one);
    for (int64_t i = fixed; i < expr.max && !full(); ++i) {
      add_empty(from, to);
      from = extended(from, one);
    }
    add_empty(from, to);
  }

  template <class One>
  StateId extended(StateId from, One one) {
    const StateId next = add_state();
    one(from, next);
    return next;
  }

  template <class One>
  void lower_loop(bool at_least_once, StateId from, StateId to, One one) {
    const StateId before = add_state();
    const StateId after = add_state();
    add_empty(from, before);
    one(before, after);
    add_empty(after, before);
    add_empty(at_least_once ? after : before, to);
  }

  // One of many copies: a call, so that nested repetitions add up instead of multiplying.
  void lower_copy(ExprId child, StateId from, StateId to) {
    const auto [it, is_new] = outlined_.try_emplace(child, static_cast<RuleId>(network_.rules.size()));
    const RuleId rule = it->second;
    if (is_new) lower_rule(add_rule(), child);
    add_edge(from, {.kind = NetworkEdge::Kind::kCall, .rule = rule, .target = to});
  }

  const RuleSet& rules_;
  const Caps& caps_;
  Network network_;
  std::unordered_map<ExprId, RuleId> outlined_;
};

}  // namespace

Result<Network> lower(const RuleSet& rules, const Caps& caps) { return Lowering(rules, caps).run(); }

}  // namespace vortex::grammar
