// A thread that does something every beat, for whoever tells others that it lives.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "comm/quiet_thread.h"
#include "comm/silence.h"

namespace vortex::comm {

class BeatThread {
 public:
  /// Calls `beat` once every kBeatInterval, until it says false.
  template <class Beat>
  explicit BeatThread(Beat beat) {
    thread_ = quiet_thread([this, beat = std::move(beat)] {
      while (wait()) {
        if (!beat()) return;
      }
    });
  }
  ~BeatThread() { stop(); }
  BeatThread(const BeatThread&) = delete;
  BeatThread& operator=(const BeatThread&) = delete;

  /// After this `beat` is not called, and not being called. Twice is once; not from `beat` itself.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

 private:
  bool wait() {
    std::unique_lock lock(mutex_);
    return !changed_.wait_for(lock, kBeatInterval, [&] { return stopping_; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace vortex::comm
