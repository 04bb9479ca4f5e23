// Why a rank failed, in one word that fits into shared memory.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace vortex::comm {

enum class FailureKind : uint8_t {
  kKilled = 1,  // detail: the signal
  kExited,      // detail: the exit status
  kSilent,      // detail: seconds
  kNeverCame,   // detail: seconds
  kLeft,
  kGone,  // its process, which rank 0 did not start, is no more
};

struct Failure {
  int rank = 0;
  FailureKind kind = FailureKind::kLeft;
  uint8_t detail = 0;

  /// Never 0.
  uint32_t word() const;
  static Failure from_word(uint32_t word);

  /// "rank 1: was killed by signal 9 (Killed) (...)", as kUnavailable.
  Error error() const;
};

}  // namespace vortex::comm
