#include "native/event_queue.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace vortex::python {

EventQueue::~EventQueue() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool EventQueue::ready() const { return unfinished_ == 0 || failure_ || (streaming_ && !pending_.empty()); }

void EventQueue::signal() const {
  if (descriptor_ >= 0 && ready()) eventfd_write(descriptor_, 1);
}

void EventQueue::push(size_t answer, const StreamEvent& event) {
  const bool news = event.token.has_value() || !event.text.empty();
  if (event.completion == nullptr && !(streaming_ && news)) return;
  {
    const std::lock_guard lock(mutex_);
    AnswerEvent& pending = pending_[answer];
    pending.answer = answer;
    if (streaming_) {
      pending.text += event.text;
      if (event.token) pending.tokens.push_back(*event.token);
      if (event.token && event.logprobs != nullptr) pending.logprobs.push_back(*event.logprobs);
    }
    if (event.completion != nullptr) {
      pending.completion = std::make_shared<Completion>(*event.completion);
      --unfinished_;
      fail(*event.completion);
    }
    signal();
  }
  changed_.notify_one();
}

/// Remembers the first fault.
void EventQueue::fail(const Completion& completion) {
  if (failure_) return;
  if (completion.error) failure_ = completion.error;
  if (completion.finish_reason == FinishReason::kCancelled)
    failure_ = Error{ErrorCode::kCancelled, "request", "it was ended before it was done", ""};
}

bool EventQueue::wait_for(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, time, [&] { return ready(); });
}

Result<std::vector<AnswerEvent>> EventQueue::take() {
  const std::lock_guard lock(mutex_);
  std::vector<AnswerEvent> events;
  if (eventfd_t count = 0; descriptor_ >= 0) eventfd_read(descriptor_, &count);
  if (failure_) return *failure_;
  if (!ready()) return events;
  for (auto& [answer, event] : pending_) events.push_back(std::move(event));
  pending_.clear();
  return events;
}

bool EventQueue::finished() const {
  const std::lock_guard lock(mutex_);
  return unfinished_ == 0 && pending_.empty();
}

Result<int> EventQueue::descriptor() {
  const std::lock_guard lock(mutex_);
  if (descriptor_ < 0) descriptor_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (descriptor_ < 0) return Error{ErrorCode::kUnavailable, "eventfd", std::strerror(errno), "close some files"};
  signal();
  return descriptor_;
}

}  // namespace vortex::python
