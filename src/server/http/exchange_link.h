// What ties a Responder, on any thread, to the connection that it answers on.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "server/http/exchange.h"
#include "server/http/loop.h"

namespace vortex::server {

/// Where an answer goes; lives on the network thread.
class AnswerSink {
 public:
  virtual ~AnswerSink() = default;
  virtual void send(HttpResponse response) = 0;
  virtual void begin(HttpResponse head) = 0;
  virtual void write(std::string bytes) = 0;
  virtual void end() = 0;
  virtual void cut() = 0;
};

class ExchangeLink : public std::enable_shared_from_this<ExchangeLink> {
 public:
  using Call = std::function<void(ExchangeLink&)>;

  ExchangeLink(std::shared_ptr<NetworkLoop::Core> loop, AnswerSink& sink);

  /// Any thread. Calls run on the network thread in the order of run(), within run() where that can be.
  void run(Call call);

  // On the network thread:
  /// Null once the answer has ended or the client has left.
  AnswerSink* sink() { return sink_; }
  void set_on_gone(std::function<void()> gone);
  /// The answer has ended well; nothing reaches the sink from here on.
  void detach();
  /// As detach(), and tells whoever asked to know.
  void leave();

 private:
  void run_queued();
  void run_or_cut(const Call& call);

  const std::shared_ptr<NetworkLoop::Core> loop_;
  AnswerSink* sink_;
  bool left_ = false;
  std::function<void()> on_gone_;
  std::mutex mutex_;
  std::deque<Call> calls_;  // the first one may be running
};

/// The Responder on a link.
std::shared_ptr<Responder> make_responder(std::shared_ptr<ExchangeLink> link);

}  // namespace vortex::server
