#include "comm/heartbeat.h"

#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

namespace vortex::comm {

Heartbeat::Heartbeat(std::shared_ptr<Segment> segment, int rank, std::chrono::milliseconds timeout)
    : segment_(std::move(segment)),
      rank_(rank),
      beats_(segment_->ranks(), 0),
      missing_(segment_->ranks(), false),
      silence_(segment_->ranks(), timeout) {
  segment_->state(rank_).process.store(::getpid(), std::memory_order_relaxed);
  thread_.emplace([this] {
    beat();
    return true;
  });
}

void Heartbeat::beat() {
  segment_->state(rank_).beat.fetch_add(1, std::memory_order_relaxed);
  look_at_others();
  if (const auto found = trouble()) bell_.ring(found->error());
}

void Heartbeat::look_at_others() {
  silence_.begin_look();
  for (int rank = 0; rank < segment_->ranks(); ++rank) {
    const uint32_t beat = segment_->state(rank).beat.load(std::memory_order_relaxed);
    const bool beats = beat != std::exchange(beats_[rank], beat);
    // Who has not come yet, or has left, need not beat.
    const bool heard = beats || segment_->presence(rank) != Presence::kPresent;
    if (rank == rank_) continue;
    if (silence_.is_over(rank, heard)) segment_->fail(silence_.failure_of(rank));
    if (is_gone(rank)) segment_->fail({rank, FailureKind::kGone});
  }
}

/// For two looks, so that whoever started the process can say better how it ended.
bool Heartbeat::is_gone(int rank) {
  const pid_t process = segment_->state(rank).process.load(std::memory_order_relaxed);
  const bool missing =
      process != 0 && segment_->presence(rank) == Presence::kPresent && ::kill(process, 0) != 0 && errno == ESRCH;
  const bool before = missing_[rank];
  missing_[rank] = missing;
  return missing && before;
}

std::optional<Failure> Heartbeat::trouble() const {
  if (const auto failure = segment_->failure()) return failure;
  for (int rank = 0; rank < segment_->ranks(); ++rank)
    if (rank != rank_ && segment_->presence(rank) == Presence::kLeft) return Failure{rank, FailureKind::kLeft};
  return std::nullopt;
}

}  // namespace vortex::comm
