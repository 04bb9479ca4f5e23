// Sums in the order of ranks, so that every rank that adds the same parts gets the same bits.
#pragma once

#include <cstdint>

namespace vortex::comm {

/// out[i] = parts[0][i] + parts[1][i] + ..., from the left. `out` may be one of the parts only where there are two.
void sum_in_rank_order(const float* const* parts, int ranks, int64_t n, float* out);

}  // namespace vortex::comm
