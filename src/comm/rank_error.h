// How the failure of a rank is said, by every communicator.
#pragma once

#include <fmt/core.h>

#include <string>
#include <utility>

#include "base/result.h"

namespace vortex::comm {

/// Ranks of a model, at most; the largest --tensor-parallel-size.
inline constexpr int kMaxRanks = 64;

/// "rank 2: MESSAGE (start the command again; ...)".
inline Error rank_error(int rank, std::string message) {
  return {ErrorCode::kUnavailable, fmt::format("rank {}", rank), std::move(message),
          "the ranks of a model end together: start the command again"};
}

}  // namespace vortex::comm
