// EventQueue: from the engine's thread to a thread of Python. The engine's side never touches Python or its lock.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/completion.h"

namespace vortex::python {

/// What became of one answer since the last look.
struct AnswerEvent {
  size_t answer = 0;  // its number in the queue
  std::string text;   // new text
  std::vector<int32_t> tokens;
  std::vector<TokenLogprobs> logprobs;     // of the tokens, when asked for
  std::shared_ptr<Completion> completion;  // when it has ended
};

class EventQueue {
 public:
  /// `streaming`: there is something to take at each token; otherwise only when all answers have ended.
  EventQueue(size_t answers, bool streaming) : streaming_(streaming), unfinished_(answers) {}
  ~EventQueue();
  EventQueue(const EventQueue&) = delete;
  EventQueue& operator=(const EventQueue&) = delete;

  /// On the engine's thread.
  void push(size_t answer, const StreamEvent& event);

  /// True when there is something to take; false when the time is over.
  bool wait_for(std::chrono::milliseconds time);
  /// By answer. Nothing when nothing is ready. The error of an answer that failed is everybody's.
  Result<std::vector<AnswerEvent>> take();
  bool finished() const;

  /// Readable when there is something to take: for select(), poll() and event loops. Belongs to the queue.
  Result<int> descriptor();

 private:
  bool ready() const;
  void fail(const Completion& completion);
  void signal() const;

  const bool streaming_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<size_t, AnswerEvent> pending_;
  size_t unfinished_;
  std::optional<Error> failure_;
  int descriptor_ = -1;
};

}  // namespace vortex::python
