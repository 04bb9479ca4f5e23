#include "native/engine_stream.h"

namespace vortex::python {
namespace {

constexpr std::chrono::milliseconds kBetweenSignals{50};

size_t count_answers(const std::vector<const Prompt*>& prompts) {
  size_t answers = 0;
  for (const Prompt* prompt : prompts) answers += static_cast<size_t>(prompt->request.n);
  return answers;
}

}  // namespace

Stream::Stream(const std::shared_ptr<Engine>& engine, const std::vector<const Prompt*>& prompts, bool streaming)
    : engine_(engine) {
  for (const Prompt* prompt : prompts) unwrap(engine->check(prompt->request));
  queue_ = std::make_shared<EventQueue>(count_answers(prompts), streaming);
  size_t first = 0;
  for (const Prompt* prompt : prompts) {
    const auto tell = [queue = queue_, first](const StreamEvent& event) {
      queue->push(first + static_cast<size_t>(event.index), event);
    };
    ids_.push_back(engine->submit(prompt->request, tell));
    first += static_cast<size_t>(prompt->request.n);
  }
}

std::vector<AnswerEvent> Stream::wait() {
  home_.require();
  const auto news = [&] { return without_gil([&] { return queue_->wait_for(kBetweenSignals); }); };
  while (!news()) {
    if (PyErr_CheckSignals() == 0) continue;
    cancel();
    throw nanobind::python_error();
  }
  return poll();
}

std::vector<AnswerEvent> Stream::poll() {
  home_.require();
  auto events = queue_->take();
  if (!events.ok()) cancel();
  return unwrap(std::move(events));
}

void Stream::cancel() {
  if (!home_.here() || queue_->finished()) return;  // after fork() the queue may be locked for ever
  const std::shared_ptr<Engine> engine = engine_.lock();
  if (engine == nullptr) return;
  for (const uint64_t id : ids_) engine->cancel(id);
}

}  // namespace vortex::python
