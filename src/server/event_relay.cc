#include "server/event_relay.h"

#include <mutex>
#include <utility>

namespace vortex::server {
namespace {

AnswerEvent own(const StreamEvent& event) {
  AnswerEvent owned;
  owned.id = event.id;
  owned.index = event.index;
  owned.text = event.text;
  owned.token = event.token;
  if (event.logprobs != nullptr) owned.logprobs = *event.logprobs;
  if (event.completion != nullptr) owned.completion = std::make_shared<const Completion>(*event.completion);
  return owned;
}

}  // namespace

struct EventRelay::State : std::enable_shared_from_this<State> {
  NetworkLoop* loop = nullptr;
  std::function<void(std::vector<AnswerEvent>)> deliver;  // network thread only
  std::mutex mutex;
  std::vector<AnswerEvent> waiting;  // guarded by mutex
  bool closed = false;               // guarded by mutex

  void push(AnswerEvent event) {
    const std::lock_guard lock(mutex);
    if (closed) return;
    if (ends_last(event)) {
      waiting.back().text += event.text;
      waiting.back().completion = std::move(event.completion);
      return;
    }
    waiting.push_back(std::move(event));
    if (waiting.size() > 1) return;  // a delivery is on its way
    loop->post([self = shared_from_this()] { self->drain(); });
  }

  /// The end of the answer whose last token waits here: one event, as clients time events.
  bool ends_last(const AnswerEvent& event) const {
    if (event.completion == nullptr || event.token || waiting.empty()) return false;
    return waiting.back().id == event.id && waiting.back().index == event.index && waiting.back().token;
  }

  void drain() {
    std::vector<AnswerEvent> events;
    {
      const std::lock_guard lock(mutex);
      events.swap(waiting);
    }
    if (deliver) deliver(std::move(events));
  }
};

EventRelay::EventRelay(NetworkLoop& loop, std::function<void(std::vector<AnswerEvent>)> deliver)
    : state_(std::make_shared<State>()) {
  state_->loop = &loop;
  state_->deliver = std::move(deliver);
}

StreamCallback EventRelay::callback() const {
  return [state = state_, started = false](const StreamEvent& event) mutable {
    const bool news = event.token.has_value() || !event.text.empty() || event.completion != nullptr;
    if (!news && started) return;  // only the first sign of progress matters
    started = true;
    state->push(own(event));
  };
}

void EventRelay::close() {
  state_->deliver = nullptr;
  const std::lock_guard lock(state_->mutex);
  state_->closed = true;
  state_->waiting.clear();
}

}  // namespace vortex::server
