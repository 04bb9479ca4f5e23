// The lists and the work of a step, made on the device in one launch.
#pragma once

#include "attention/cuda/attention.h"

namespace vortex::cuda {

struct PlanShape {
  int window = 0;        // tokens; 0: no window list
  bool sparse = false;   // a selected list is wanted
  int slots = 1;         // pieces that run at the same time
  int least_tokens = 1;  // of a piece, unless its row ends
};

/// Pieces of a list for `slots`, most.
inline int most_pieces(int rows, int slots) { return 4 * slots + rows; }

void plan_lists(const StepView& step, const StepLists& lists, const PlanShape& shape, cudaStream_t stream);

}  // namespace vortex::cuda
