#include "comm/mpi/liveness.h"

#include <thread>

namespace vortex::comm {
namespace {

int size_of(MPI_Comm comm) {
  int size = 0;
  MPI_Comm_size(comm, &size);
  return size;
}

}  // namespace

Liveness::Liveness(MPI_Comm pings, std::mutex* calls, std::chrono::milliseconds timeout)
    : pings_(pings), calls_(calls), silence_(size_of(pings), timeout) {
  MPI_Comm_rank(pings_, &rank_);
  // Everybody watches rank 0, which watches everybody.
  const int peers = rank_ == 0 ? size_of(pings_) - 1 : 1;
  for (int peer = 0; peer < peers; ++peer) peers_.push_back({.rank = rank_ == 0 ? peer + 1 : 0});
  for (Peer& peer : peers_) MPI_Irecv(&peer.inbox, 1, MPI_UINT32_T, peer.rank, 0, pings_, &peer.receiving);
  thread_.emplace([this] { return beat(); });
}

Liveness::~Liveness() {
  thread_->stop();
  if (const auto found = failure(); found && found->kind != FailureKind::kLeft) return;
  const std::lock_guard lock(*calls_);
  for (Peer& peer : peers_) {
    MPI_Cancel(&peer.receiving);
    MPI_Wait(&peer.receiving, MPI_STATUS_IGNORE);
  }
}

std::optional<Failure> Liveness::failure() const {
  const uint32_t word = failure_.load(std::memory_order_acquire);
  if (word == 0) return std::nullopt;
  return Failure::from_word(word);
}

void Liveness::fail(const Failure& failure) {
  uint32_t none = 0;
  failure_.compare_exchange_strong(none, failure.word());
}

void Liveness::leave() {
  thread_->stop();
  fail({rank_, FailureKind::kLeft});
  tell_others();
}

/// Until something failed, which is the last that is told.
bool Liveness::beat() {
  if (!failure()) look_at_others();
  if (!failure()) return true;
  if (rank_ == 0) tell_others();
  bell_.ring(failure()->error());
  return false;
}

void Liveness::look_at_others() {
  silence_.begin_look();
  const std::lock_guard lock(*calls_);
  for (Peer& peer : peers_) {
    say(peer, 0);
    if (silence_.is_over(peer.rank, hear(peer))) fail(silence_.failure_of(peer.rank));
  }
}

/// Whether anything came. What rank 0 knows of a failure, and what a rank says when it leaves, is a word other than 0.
bool Liveness::hear(Peer& peer) {
  bool heard = false;
  int done = 1;
  while (MPI_Test(&peer.receiving, &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done != 0) {
    heard = true;
    if (peer.inbox != 0) fail(Failure::from_word(peer.inbox));
    MPI_Irecv(&peer.inbox, 1, MPI_UINT32_T, peer.rank, 0, pings_, &peer.receiving);
  }
  return heard;
}

/// Nothing while the last word is still on its way: a rank that hears nothing must not fill our memory.
void Liveness::say(Peer& peer, uint32_t word) {
  int done = 1;
  if (peer.sending != MPI_REQUEST_NULL) MPI_Test(&peer.sending, &done, MPI_STATUS_IGNORE);
  if (done == 0) return;
  peer.outbox = word;
  MPI_Isend(&peer.outbox, 1, MPI_UINT32_T, peer.rank, 0, pings_, &peer.sending);
}

void Liveness::tell_others() {
  const uint32_t word = failure_.load(std::memory_order_acquire);
  for (Peer& peer : peers_) {
    const std::lock_guard lock(*calls_);
    say(peer, word);
  }
  // A word this short goes out at once; what is left of it is nudged a few times.
  for (int nudge = 0; nudge < 10; ++nudge) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const std::lock_guard lock(*calls_);
    for (Peer& peer : peers_) {
      int done = 0;
      MPI_Test(&peer.sending, &done, MPI_STATUS_IGNORE);
    }
  }
}

}  // namespace vortex::comm
