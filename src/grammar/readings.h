// Readings: where a text may stand in its grammar, for all ways of reading it at once. A frontier is a set of
// (state, stack); a stack is shared by all readings that called the same rule at the same place (a graph-structured
// stack), so that n open brackets of k kinds cost n * k, not k^n. Stacks and frontiers are numbered by their content:
// what was met before is a look-up, and a number is a key for what depends on the frontier alone.
//
// Tomita, "Graph-structured stack and natural language parsing", 1988.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "grammar/automaton.h"
#include "grammar/byte_classes.h"
#include "grammar/caps.h"
#include "grammar/interner.h"

namespace vortex::grammar {

using StackId = uint32_t;
using FrontierId = uint32_t;

class Readings {
 public:
  /// Frontier of a text that is no beginning of any in the grammar.
  static constexpr FrontierId kDead = 0;

  /// Both must outlive it.
  Readings(const Automaton& automaton, const Caps& caps);

  /// What follows a frontier.
  struct Table {
    std::array<FrontierId, 256> next;  // by byte
    FrontierId main = kDead;           // where letters lead, as a rule: after an 'e'
    ByteClasses main_classes = 0;      // all of these bytes lead there
  };

  FrontierId start() const { return start_; }
  FrontierId step(FrontierId frontier, uint8_t byte) { return table(frontier).next[byte]; }
  /// Valid as long as this object.
  const Table& table(FrontierId frontier);

  /// The text may end.
  bool complete(FrontierId frontier) const;
  /// It may go on.
  bool can_go_on(FrontierId frontier) const { return frontiers_.at(frontier).size() > (complete(frontier) ? 1u : 0u); }

  /// The frontier of `other`, of the same automaton, in this one.
  FrontierId adopt(const Readings& other, FrontierId frontier);

  size_t bytes() const { return stacks_.bytes() + frontiers_.bytes() + tables_bytes_; }
  /// Grows with the time spent: about ten nanoseconds a unit.
  size_t work() const { return work_; }

 private:
  /// What waits: the state where a rule's caller goes on, and the caller's own stack.
  struct Frame {
    StateId target = 0;
    StackId below = 0;
    auto operator<=>(const Frame&) const = default;
  };
  struct Reading {
    StateId state = 0;
    StackId stack = 0;
    auto operator<=>(const Reading&) const = default;
  };
  using Callers = std::map<uint32_t, std::pair<StateId, std::vector<Frame>>>;  // by rank: start and frames

  static constexpr StackId kNoStack = 0;
  /// The state after the root rule: the text is complete.
  static constexpr StateId kDone = UINT32_MAX;

  std::unique_ptr<Table> make_table(FrontierId frontier);
  FrontierId closed(std::vector<Reading> readings);
  bool add_returns(std::vector<Reading>& readings);
  void add_callers(const Reading& reading, Callers& callers);
  bool add_called(Callers& callers, std::vector<Reading>& readings);
  StackId add_stack(std::vector<Frame>& frames);
  StackId adopt_stack(const Readings& other, StackId stack, std::map<StackId, StackId>& known);
  FrontierId add_frontier(std::vector<Reading>& readings);
  bool fits(StateId state, int depth) const;
  bool is_tail(StateId state) const { return state != kDone && automaton_.is_tail(state); }

  const Automaton& automaton_;
  const Caps& caps_;
  Interner<Frame> stacks_;
  std::vector<int> depths_;  // by stack
  Interner<Reading> frontiers_;
  std::vector<std::unique_ptr<Table>> tables_;  // by frontier; null until asked for
  size_t tables_bytes_ = 0;
  size_t work_ = 0;
  FrontierId start_ = kDead;
};

}  // namespace vortex::grammar
