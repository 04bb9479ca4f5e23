// Who lives, when ranks speak through MPI: rank 0 and each other rank send each other a word every beat.
#pragma once

#include <mpi.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <vector>

#include "comm/beat_thread.h"
#include "comm/failure_bell.h"
#include "comm/silence.h"

namespace vortex::comm {

/// MPI was asked for one thread at a time: every call of it, in either class, holds `calls`.
class Liveness {
 public:
  /// `pings` is used by nobody else. A rank that is silent for `timeout` has failed; rank 0 tells the others.
  Liveness(MPI_Comm pings, std::mutex* calls, std::chrono::milliseconds timeout);
  /// Says nothing to the others.
  ~Liveness();
  Liveness(const Liveness&) = delete;
  Liveness& operator=(const Liveness&) = delete;

  /// After a failure other than kLeft, MPI must not be called any more.
  std::optional<Failure> failure() const;
  void fail(const Failure& failure);
  /// Tells the others that this rank leaves.
  void leave();
  void on_failure(FailureBell::Listener told) { bell_.on_failure(std::move(told)); }

 private:
  struct Peer {
    int rank = 0;
    uint32_t inbox = 0;
    uint32_t outbox = 0;
    MPI_Request receiving = MPI_REQUEST_NULL;
    MPI_Request sending = MPI_REQUEST_NULL;
  };

  bool beat();
  void look_at_others();
  bool hear(Peer& peer);
  void say(Peer& peer, uint32_t word);
  void tell_others();

  const MPI_Comm pings_;
  std::mutex* const calls_;
  int rank_ = 0;
  std::vector<Peer> peers_;  // never moved: MPI holds addresses in it
  Silence silence_;
  std::atomic<uint32_t> failure_{0};
  FailureBell bell_;
  std::optional<BeatThread> thread_;  // the last member: it uses the others
};

}  // namespace vortex::comm
