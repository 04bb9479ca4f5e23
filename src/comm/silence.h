// How long the other ranks have been silent.
#pragma once

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "comm/failure.h"

namespace vortex::comm {

inline constexpr std::chrono::milliseconds kBeatInterval{100};

/// Asked about every beat. Who asks late (a machine that slept, a processor that others took) counts no more than two
/// beats: the other ranks may have been held up by the same.
class Silence {
 public:
  using Clock = std::chrono::steady_clock;

  Silence(int ranks, std::chrono::milliseconds timeout) : timeout_(timeout), silent_for_(ranks, Clock::duration(0)) {}

  /// Before the ranks are looked at, `now`.
  void begin_look(Clock::time_point now = Clock::now()) {
    passed_ = std::min<Clock::duration>(now - std::exchange(last_look_, now), 2 * kBeatInterval);
  }

  /// `heard`: whether `rank` was heard since the last look. True once it has been silent for too long.
  bool is_over(int rank, bool heard) {
    silent_for_[rank] = heard ? Clock::duration(0) : silent_for_[rank] + passed_;
    return silent_for_[rank] >= timeout_;
  }

  Failure failure_of(int rank) const {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(silent_for_[rank]).count();
    return {rank, FailureKind::kSilent, static_cast<uint8_t>(std::min<int64_t>(seconds, 255))};
  }

 private:
  const std::chrono::milliseconds timeout_;
  std::vector<Clock::duration> silent_for_;
  Clock::time_point last_look_ = Clock::now();
  Clock::duration passed_{0};
};

}  // namespace vortex::comm
