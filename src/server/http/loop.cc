#include "server/http/loop.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "server/http/loop_core.h"

namespace vortex::server {
namespace {

namespace asio = boost::asio;

// Memory may run out in any task; those behind it are not to blame.
void run_guarded(const std::function<void()>& task) {
  try {
    task();
  } catch (const std::exception& failure) {
    log_error("a task of the network thread failed: {}", failure.what());
  }
}

}  // namespace

// One wake-up serves all that was posted since the last. One that finds no memory leaves the task to the next.
void NetworkLoop::Core::post(Task task) {
  const std::lock_guard lock(mutex_);
  if (closed_) return;
  posted_.push_back(std::move(task));
  if (woken_) return;
  asio::post(io, [this] { run_posted(); });
  woken_ = true;
}

void NetworkLoop::Core::run_posted() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
    woken_ = false;
  }
  for (Task& task : tasks) {
    run_guarded(task);
    task = nullptr;  // what it holds goes now, not after the tasks behind it
  }
}

void NetworkLoop::Core::start_timer(std::chrono::milliseconds delay, Task task) {
  timers_.push_front({asio::steady_timer(io, delay), std::move(task)});
  timers_.front().clock.async_wait([this, timer = timers_.begin()](const boost::system::error_code& error) {
    if (error || timers_.empty()) return;  // close() dropped it, perhaps when it was already due
    const Task due = std::move(timer->task);
    timers_.erase(timer);
    run_guarded(due);
  });
}

void NetworkLoop::Core::close() {
  std::vector<Task> dropped;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(posted_);
  }
  timers_.clear();
}

NetworkLoop::NetworkLoop() : core_(std::make_shared<Core>()) {}

NetworkLoop::~NetworkLoop() { core_->close(); }

void NetworkLoop::post(std::function<void()> task) { core_->post(std::move(task)); }

void NetworkLoop::after(std::chrono::milliseconds delay, std::function<void()> task) {
  core_->post(
      [core = core_.get(), delay, task = std::move(task)]() mutable { core->start_timer(delay, std::move(task)); });
}

bool NetworkLoop::on_loop_thread() const { return core_->on_loop_thread(); }

void NetworkLoop::run() {
  VORTEX_CHECK(core_->thread.load() == std::thread::id(), "the loop runs already");
  core_->thread = std::this_thread::get_id();
  const auto work = asio::make_work_guard(core_->io);
  while (!core_->io.stopped()) {
    run_guarded([&] { core_->io.run(); });
  }
  core_->thread = std::thread::id();
}

void NetworkLoop::stop() { core_->io.stop(); }

}  // namespace vortex::server
