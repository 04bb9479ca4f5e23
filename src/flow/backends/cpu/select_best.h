// Top-k of a row's scores in linear time.
#pragma once

#include <cstdint>
#include <vector>

namespace vortex::flow {

/// Indices of the k best of score[0..n), ascending, to out[0..k): higher first, ties to the lower index, NaN below
/// every number, -0 equal to +0; 0 <= k <= n. Returns whether a score is NaN.
/// With a tolerance, at least ceil((1 - tolerance) k) of them are the best: approxTopK in flow/ir/graph.h.
bool select_best(const float* score, int64_t n, int64_t k, float tolerance, std::vector<uint32_t>* scratch,
                 int32_t* out);

}  // namespace vortex::flow
