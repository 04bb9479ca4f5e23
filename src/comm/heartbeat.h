// Says to the other ranks that this one lives, and notices when one of them no longer does.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "comm/beat_thread.h"
#include "comm/failure_bell.h"
#include "comm/segment.h"
#include "comm/silence.h"

namespace vortex::comm {

class Heartbeat {
 public:
  /// A rank whose counter stands still for `timeout` has failed.
  Heartbeat(std::shared_ptr<Segment> segment, int rank, std::chrono::milliseconds timeout);
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

  /// As Communicator::on_failure.
  void on_failure(FailureBell::Listener told) { bell_.on_failure(std::move(told)); }

 private:
  void beat();
  void look_at_others();
  bool is_gone(int rank);
  /// A failure, or a rank that left.
  std::optional<Failure> trouble() const;

  const std::shared_ptr<Segment> segment_;
  const int rank_;
  std::vector<uint32_t> beats_;  // of the others, when last looked at
  std::vector<bool> missing_;    // whose process was not there then
  Silence silence_;
  FailureBell bell_;
  std::optional<BeatThread> thread_;  // the last member: it uses the others
};

}  // namespace vortex::comm
