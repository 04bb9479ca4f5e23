#include "comm/rank_order_sum.h"

#include <algorithm>

// In place, an element is read and then written: no other iteration sees it, which a compiler cannot know.
#if defined(__clang__)
#define VORTEX_NO_CARRY _Pragma("clang loop vectorize(assume_safety)")
#else
#define VORTEX_NO_CARRY _Pragma("GCC ivdep")
#endif

namespace vortex::comm {

void sum_in_rank_order(const float* const* parts, int ranks, int64_t n, float* out) {
  constexpr int64_t kBlock = 4096;  // sums stay in the first cache while the ranks are added
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t end = std::min(n, begin + kBlock);
    VORTEX_NO_CARRY
    for (int64_t i = begin; i < end; ++i) out[i] = parts[0][i] + parts[1][i];
    for (int rank = 2; rank < ranks; ++rank) {
      VORTEX_NO_CARRY
      for (int64_t i = begin; i < end; ++i) out[i] += parts[rank][i];
    }
  }
}

}  // namespace vortex::comm
