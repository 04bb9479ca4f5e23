// Tells of a failure once to each who asked before it, and at once to who asks after it.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "base/result.h"

namespace vortex::comm {

class FailureBell {
 public:
  using Listener = std::function<void(const Error&)>;

  /// As Communicator::on_failure.
  void on_failure(Listener told) {
    std::unique_lock lock(mutex_);
    if (!error_) {
      listeners_.push_back(std::move(told));
      return;
    }
    lock.unlock();
    told(*error_);
  }

  /// The first failure counts; it never changes afterwards.
  void ring(const Error& error) {
    std::vector<Listener> listeners;
    {
      const std::lock_guard lock(mutex_);
      if (error_) return;
      error_ = error;
      listeners = std::exchange(listeners_, {});
    }
    for (const Listener& told : listeners) told(error);
  }

 private:
  std::mutex mutex_;
  std::optional<Error> error_;
  std::vector<Listener> listeners_;
};

}  // namespace vortex::comm
