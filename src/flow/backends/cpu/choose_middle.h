// From scores to the pages that the output operator of a flow takes.
#pragma once

#include <cstdint>
#include <vector>

#include "flow/backends/cpu/isa/tile_kernels.h"
#include "flow/plan/plan.h"

namespace vortex::flow {

struct SelectScratch {
  std::vector<uint32_t> keys;
  std::vector<float> maxima, scores;
  std::vector<int32_t> candidates, chosen, other;
};

/// Chooses among n pages of the middle by plan.scores() of them; k is what the budget leaves. Leaves positions in
/// scratch->chosen. True if a score is NaN.
bool choose_middle(const Plan& plan, const TileKernels& kernels, const float* const* score, int64_t n, int64_t k,
                   SelectScratch* scratch);

}  // namespace vortex::flow
