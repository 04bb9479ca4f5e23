// From rules to a network of states: one start and one end a rule, edges that read a byte, call a rule or read
// nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "grammar/caps.h"
#include "grammar/rules.h"

namespace vortex::grammar {

using StateId = uint32_t;

struct NetworkEdge {
  enum class Kind : uint8_t { kEmpty, kByte, kCall };
  Kind kind = Kind::kEmpty;
  ByteRange bytes;  // kByte
  RuleId rule = 0;  // kCall: go on at `target` when it has been read
  StateId target = 0;
  uint32_t next = 0;  // edge of the same state, or kNoEdge
};
inline constexpr uint32_t kNoEdge = UINT32_MAX;

struct Network {
  struct RuleStates {
    StateId start = 0, end = 0;
  };
  std::vector<uint32_t> first_edge;  // by state
  std::vector<NetworkEdge> edges;
  std::vector<RuleStates> rules;  // the set's rules, then the bodies of long repetitions

  template <class Body>
  void for_each_edge(StateId state, Body body) const {
    for (uint32_t e = first_edge[state]; e != kNoEdge; e = edges[e].next) body(edges[e]);
  }
};

/// kInvalidArgument beyond the caps on rules, states and edges. Expressions must nest at most as deep as the stack
/// can bear: the parsers see to that.
Result<Network> lower(const RuleSet& rules, const Caps& caps);

}  // namespace vortex::grammar
