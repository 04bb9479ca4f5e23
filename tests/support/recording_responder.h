// A Responder that keeps what it is told, for tests of handlers. Thread-safe.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

#include "server/http/exchange.h"

namespace vortex::server {

class RecordingResponder : public Responder {
 public:
  enum class Ending { kNone, kSent, kEnded, kCut };

  void send(HttpResponse response) override { finish(Ending::kSent, &response); }
  void begin(HttpResponse head) override {
    const std::lock_guard lock(mutex_);
    begun_ = true;
    answer_ = std::move(head);
  }
  void write(std::string bytes) override {
    const std::lock_guard lock(mutex_);
    answer_.body += bytes;
  }
  void end() override { finish(Ending::kEnded, nullptr); }
  void cut() override { finish(Ending::kCut, nullptr); }
  void on_gone(std::function<void()> gone) override {
    std::unique_lock lock(mutex_);
    if (left_) {
      lock.unlock();
      gone();
    } else {
      on_gone_ = std::move(gone);
    }
  }

  /// As a client that goes away now.
  void leave() {
    std::unique_lock lock(mutex_);
    left_ = true;
    const auto gone = std::exchange(on_gone_, nullptr);
    lock.unlock();
    if (gone) gone();
  }

  /// Waits until the answer has ended, one way or another; kNone after `limit`.
  Ending wait(std::chrono::milliseconds limit = std::chrono::seconds(20)) {
    std::unique_lock lock(mutex_);
    finished_.wait_for(lock, limit, [&] { return ending_ != Ending::kNone; });
    return ending_;
  }

  /// What was sent, or begun, with all the bytes written so far as its body.
  HttpResponse answer() const {
    const std::lock_guard lock(mutex_);
    return answer_;
  }
  bool begun() const {
    const std::lock_guard lock(mutex_);
    return begun_;
  }

 private:
  void finish(Ending ending, HttpResponse* response) {
    const std::lock_guard lock(mutex_);
    if (ending_ != Ending::kNone) return;
    if (response != nullptr) answer_ = std::move(*response);
    ending_ = ending;
    finished_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable finished_;
  std::function<void()> on_gone_;
  HttpResponse answer_;
  Ending ending_ = Ending::kNone;
  bool begun_ = false, left_ = false;
};

}  // namespace vortex::server
