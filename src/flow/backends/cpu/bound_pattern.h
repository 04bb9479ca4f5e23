// The pattern of Quest's bound, and what lets it be computed in two products a channel.
#pragma once

#include <optional>
#include <vector>

#include "flow/plan/plan.h"

namespace vortex::flow {

/// Max(1) of Sum(2) of Maximum(Multiply(x, high), Multiply(x, low)) with a batched x, where forward_cache writes `high`
/// and `low` as the largest and smallest over tokens of the same field. Then low <= high, and max(x * high, x * low) is
/// max(x, 0) * high + min(x, 0) * low for finite bounds.
struct BoundPattern {
  std::vector<NodeId> nodes;  // all five, the last one gives the result
  ValueId x = kNoValue;
  int high = -1, low = -1;  // fields
};

std::optional<BoundPattern> find_bound(const Plan& plan, const Program& program, const std::vector<NodeId>& group);

}  // namespace vortex::flow
