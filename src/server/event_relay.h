// EventRelay: carries the engine's events to the network thread, all of a step in one go.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/completion.h"
#include "server/http/loop.h"

namespace vortex::server {

/// A StreamEvent that owns what it shows.
struct AnswerEvent {
  uint64_t id = 0;
  int index = 0;
  std::string text;
  std::optional<int32_t> token;
  std::optional<TokenLogprobs> logprobs;
  std::shared_ptr<const Completion> completion;
};

class EventRelay {
 public:
  /// `deliver` is called on the network thread with everything that has come since the last time.
  EventRelay(NetworkLoop& loop, std::function<void(std::vector<AnswerEvent>)> deliver);

  /// For Engine::submit(). May be called when the relay is gone: nothing happens then, once close() was called.
  StreamCallback callback() const;
  /// On the network thread: nothing more is delivered.
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace vortex::server
