// How a rank that we start learns who it is: the variable VORTEX_RANK, "1/2 fd=7 threads=4 nonce=0123...".
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "comm/segment.h"

namespace vortex::comm {

inline constexpr const char* kRankVariable = "VORTEX_RANK";

struct RankPlace {
  int rank = 1;     // in [1, size)
  int size = 2;     // at most kMaxRanks
  int fd = 3;       // of the ranks' memory
  int threads = 1;  // to compute with
  Nonce nonce{};
};

std::string to_text(const RankPlace& place);
/// kConfiguration unless it is what to_text writes.
Result<RankPlace> rank_place_of(const std::string& text);

}  // namespace vortex::comm
