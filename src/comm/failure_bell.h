// Tells of a failure once: to who asked before it, or at once to who asks after it.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <utility>

#include "base/result.h"

namespace vortex::comm {

class FailureBell {
 public:
  using Listener = std::function<void(const Error&)>;

  /// As Communicator::on_failure.
  void on_failure(Listener told) {
    std::unique_lock lock(mutex_);
    if (!error_) {
      told_ = std::move(told);
      return;
    }
    lock.unlock();
    told(*error_);
  }

  /// The first failure counts; it never changes afterwards.
  void ring(const Error& error) {
    Listener told;
    {
      const std::lock_guard lock(mutex_);
      if (error_) return;
      error_ = error;
      told = std::exchange(told_, nullptr);
    }
    if (told) told(error);
  }

 private:
  std::mutex mutex_;
  std::optional<Error> error_;
  Listener told_;
};

}  // namespace vortex::comm
