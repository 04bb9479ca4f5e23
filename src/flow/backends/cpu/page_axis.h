// Ops over the page axis of one row: softmax, normalisation, convolution, reductions to a batched value.
#pragma once

#include "flow/backends/cpu/group_runner.h"

namespace vortex::flow {

/// Runs `node` on x [pages, elements], of which the middle [begin, end) counts, and rounds the result to `dtype`.
/// out is [pages, elements] (0 outside the middle), or [1, elements] for reductions.
void run_page_axis(const Node& node, const TileKernels& kernels, DType dtype, int64_t elements, int64_t pages,
                   int64_t begin, int64_t end, const float* x, float* out, ThreadScratch* scratch);

}  // namespace vortex::flow
