#include "server/http/exchange_link.h"

#include <atomic>
#include <exception>
#include <utility>

#include "base/log.h"
#include "server/http/error_body.h"
#include "server/http/loop_core.h"

namespace vortex::server {
namespace {

class LinkResponder : public Responder {
 public:
  explicit LinkResponder(std::shared_ptr<ExchangeLink> link) : link_(std::move(link)) {}

  ~LinkResponder() override {
    link_->run([begun = begun_.load()](ExchangeLink& link) {
      if (link.sink() == nullptr) return;
      begun ? link.sink()->cut() : link.sink()->send(internal_error_response());
    });
  }

  void send(HttpResponse response) override {
    to_sink([response = std::move(response)](AnswerSink& sink) mutable { sink.send(std::move(response)); });
  }
  void begin(HttpResponse head) override {
    begun_ = true;
    to_sink([head = std::move(head)](AnswerSink& sink) mutable { sink.begin(std::move(head)); });
  }
  void write(std::string bytes) override {
    to_sink([bytes = std::move(bytes)](AnswerSink& sink) mutable { sink.write(std::move(bytes)); });
  }
  void end() override {
    to_sink([](AnswerSink& sink) { sink.end(); });
  }
  void cut() override {
    to_sink([](AnswerSink& sink) { sink.cut(); });
  }
  void on_gone(std::function<void()> gone) override {
    link_->run([gone = std::move(gone)](ExchangeLink& link) mutable { link.set_on_gone(std::move(gone)); });
  }

 private:
  template <class Action>
  void to_sink(Action action) {
    link_->run([action = std::move(action)](ExchangeLink& link) mutable {
      if (link.sink() != nullptr) action(*link.sink());
    });
  }

  const std::shared_ptr<ExchangeLink> link_;
  std::atomic<bool> begun_{false};
};

}  // namespace

ExchangeLink::ExchangeLink(std::shared_ptr<NetworkLoop::Core> loop, AnswerSink& sink)
    : loop_(std::move(loop)), sink_(&sink) {}

void ExchangeLink::run(Call call) {
  {
    const std::lock_guard lock(mutex_);
    if (!calls_.empty() || !loop_->on_loop_thread()) {
      calls_.push_back(std::move(call));
      if (calls_.size() == 1) loop_->post([self = shared_from_this()] { self->run_queued(); });
      return;
    }
  }
  run_or_cut(call);
}

// A call stays in the queue while it runs, so that those it makes line up behind the ones that wait.
void ExchangeLink::run_queued() {
  std::unique_lock lock(mutex_);
  while (!calls_.empty()) {
    Call call = std::move(calls_.front());
    lock.unlock();
    run_or_cut(call);
    call = nullptr;
    lock.lock();
    calls_.pop_front();
  }
}

// An answer of which a part is lost, as memory was out, must not look whole.
void ExchangeLink::run_or_cut(const Call& call) {
  try {
    call(*this);
  } catch (const std::exception& failure) {
    log_error("an answer was cut: {}", failure.what());
    if (sink_ != nullptr) sink_->cut();
  }
}

void ExchangeLink::set_on_gone(std::function<void()> gone) {
  if (left_) return gone();
  if (sink_ != nullptr) on_gone_ = std::move(gone);
}

void ExchangeLink::detach() {
  sink_ = nullptr;
  on_gone_ = nullptr;
}

void ExchangeLink::leave() {
  sink_ = nullptr;
  left_ = true;
  if (const auto gone = std::exchange(on_gone_, nullptr)) gone();
}

std::shared_ptr<Responder> make_responder(std::shared_ptr<ExchangeLink> link) {
  return std::make_shared<LinkResponder>(std::move(link));
}

}  // namespace vortex::server
