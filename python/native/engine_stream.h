// Stream: requests that run together, as one call of generate() sends them.
#pragma once

#include <memory>
#include <vector>

#include "native/engine_handle.h"
#include "native/event_queue.h"

namespace vortex::python {

/// A request as Python fills it in.
struct Prompt {
  GenerateRequest request;
};

/// What was compiled, as Python holds it: the engine gets the inner pointer, whose release needs no GIL.
struct Grammar {
  std::shared_ptr<const grammar::CompiledGrammar> compiled;
};

/// Its answers are numbered through: those of the first request, of the second, ... Dropping it cancels the rest.
class Stream {
 public:
  /// Sends all requests, or none when one of them is refused.
  Stream(const std::shared_ptr<Engine>& engine, const std::vector<const Prompt*>& prompts, bool streaming);
  ~Stream() { cancel(); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Waits for news; of a stream that is not streaming, for all answers. Nothing: they were all told. Raises the error
  /// of a request that failed, and KeyboardInterrupt as soon as it happens; both cancel the others.
  std::vector<AnswerEvent> wait();
  /// The same without waiting: nothing may also mean that there is no news.
  std::vector<AnswerEvent> poll();
  bool finished() const { return queue_->finished(); }
  int descriptor() { return unwrap(queue_->descriptor()); }
  void cancel();

  const std::vector<uint64_t>& ids() const { return ids_; }

 private:
  const HomeProcess home_;
  std::weak_ptr<Engine> engine_;
  std::shared_ptr<EventQueue> queue_;
  std::vector<uint64_t> ids_;  // by request
};

}  // namespace vortex::python
