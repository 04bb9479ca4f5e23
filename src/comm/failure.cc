#include "comm/failure.h"

#include <fmt/core.h>

#include <cstring>

#include "comm/rank_error.h"

namespace vortex::comm {
namespace {

std::string text_of(FailureKind kind, int detail) {
  switch (kind) {
    case FailureKind::kKilled:
      return fmt::format("was killed by signal {} ({})", detail, ::strsignal(detail));
    case FailureKind::kExited:
      return fmt::format("ended with exit status {}", detail);
    case FailureKind::kSilent:
      return fmt::format("has not answered for {} s", detail);
    case FailureKind::kNeverCame:
      return fmt::format("did not join within {} s", detail);
    case FailureKind::kLeft:
      return "has left";
    case FailureKind::kGone:
      return "is gone: its process has ended";
  }
  return "failed";
}

}  // namespace

uint32_t Failure::word() const {
  return static_cast<uint32_t>(rank) | static_cast<uint32_t>(kind) << 16 | static_cast<uint32_t>(detail) << 24;
}

Failure Failure::from_word(uint32_t word) {
  return {static_cast<int>(word & 0xffff), static_cast<FailureKind>(word >> 16 & 0xff),
          static_cast<uint8_t>(word >> 24)};
}

Error Failure::error() const { return rank_error(rank, text_of(kind, detail)); }

}  // namespace vortex::comm
