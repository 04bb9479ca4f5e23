// The compile sweep: a flow recorded and compiled for many shapes (spec/flows.md 4), before a model meets it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "flow/source/flow_source.h"
#include "tensor/dtype.h"

namespace vortex {

/// Shapes that fail for one reason.
struct SweepFailure {
  Error error;  // of the first of them
  std::vector<flow::GraphShape> shapes;
};

struct Sweep {
  int shapes = 0;  // tried
  std::vector<SweepFailure> failures;

  int failed() const;
};

/// Every group of {1, 2, 4, 8, 16}, head_dim of {32, 64, 128} and page of {4, 8, 16, 32, 64, 128} tokens; for a flow
/// over latents 4, 8, 16, 20 and 128 heads, width 512 + 64 and pages of {16, 32, 64}. How many pages lie in a slab and
/// how many a work item takes is not swept: compiled flows do not depend on them.
Sweep sweep_flow(const flow::FlowSource& source, DType dtype);

/// "page 4, 8 tokens" where only that decides, else the first few shapes: "group 1 head_dim 32 page 4, ...".
std::string describe_shapes(const std::vector<flow::GraphShape>& shapes);

}  // namespace vortex
