// The inside of NetworkLoop, for the files that own sockets.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "server/http/loop.h"

namespace vortex::server {

struct NetworkLoop::Core {
  using Task = std::function<void()>;

  boost::asio::io_context io{1};
  std::atomic<std::thread::id> thread{};

  bool on_loop_thread() const { return std::this_thread::get_id() == thread.load(); }
  void post(Task task);
  /// On the network thread only.
  void start_timer(std::chrono::milliseconds delay, Task task);
  /// Drops what is posted and what waits for its time; later posts are dropped too.
  void close();

 private:
  struct Timer {
    boost::asio::steady_timer clock;
    Task task;
  };

  void run_posted();

  std::mutex mutex_;
  std::vector<Task> posted_;
  bool woken_ = false;  // run_posted() is on its way; guarded by mutex_
  bool closed_ = false;
  std::list<Timer> timers_;  // of the network thread
};

}  // namespace vortex::server
