// The network thread: runs what is posted to it, in order, between the events of its sockets.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace vortex::server {

class NetworkLoop {
 public:
  NetworkLoop();
  /// What is still posted is dropped, unrun.
  ~NetworkLoop();
  NetworkLoop(const NetworkLoop&) = delete;
  NetworkLoop& operator=(const NetworkLoop&) = delete;

  /// Thread-safe and first in, first out. Runs on the network thread, never inside this call; dropped once the loop
  /// is gone.
  void post(std::function<void()> task);
  /// Thread-safe. Runs `task` on the network thread when that much monotonic time has passed.
  void after(std::chrono::milliseconds delay, std::function<void()> task);
  /// True on the thread that is in run().
  bool on_loop_thread() const;

  /// Makes the calling thread the network thread, until stop().
  void run();
  /// Thread-safe; lasting: a later run() returns at once.
  void stop();

  /// Shared with whoever may outlive the loop; posting to it stays safe.
  struct Core;
  const std::shared_ptr<Core>& core() const { return core_; }

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace vortex::server
