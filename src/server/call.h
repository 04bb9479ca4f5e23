// Call: one completion request from its arrival to the last byte of its answer. Lives on the network thread.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "server/event_relay.h"
#include "server/http/exchange.h"
#include "server/prepared_request.h"
#include "server/sequence_quota.h"

namespace vortex::server {

/// What a call asks of its service.
class CallHost {
 public:
  virtual ~CallHost() = default;
  virtual uint64_t submit(GenerateRequest request) = 0;
  virtual void cancel(uint64_t id) = 0;
  virtual void on_refused(const ApiError& error) = 0;
  virtual void on_answer(const Completion& completion, double seconds_since_arrival) = 0;
};

class Call {
 public:
  using Clock = std::chrono::steady_clock;

  Call(CallHost& host, const HttpRequest& request, std::shared_ptr<Responder> responder, SequenceQuota::Ticket ticket);

  /// The request could not be prepared: answers it. `retry_after_s` goes with a 503.
  void refuse(const ApiError& error, int retry_after_s);
  /// Hands the prompts to the engine. Returns its numbers for them: events carry them.
  const std::vector<uint64_t>& start(PreparedRequest prepared);
  /// Takes an event of the engine; what it adds to a stream is sent by flush().
  void on_event(AnswerEvent event);
  void flush();
  /// Ends the answer with an error, and what still runs.
  void fail(const ApiError& error);
  /// The client left.
  void abandon();
  /// Keeps an idle stream alive: proxies drop connections that say nothing.
  void ping(Clock::time_point now);

  /// Nothing of it runs in the engine any more, and it was answered.
  bool over() const { return answered_ && running_ == 0; }
  bool answered() const { return answered_; }
  const std::vector<uint64_t>& engine_ids() const { return ids_; }
  SequenceQuota::Ticket& ticket() { return ticket_; }
  /// Read by worker threads: do not bother.
  const std::shared_ptr<std::atomic<bool>>& cancelled() const { return cancelled_; }

 private:
  struct Answer {
    std::unique_ptr<OutputParser> parser;
    Delta whole;  // of a stream: only what was not written
    bool opened = false, called_tool = false;
    int64_t tokens = 0;
    std::optional<Ending> ending;
    std::shared_ptr<const Completion> completion;
  };

  size_t answer_number(const AnswerEvent& event) const;
  int choice_index(size_t number) const;
  void leave_queue();
  void take(const AnswerEvent& event, Answer* answer);
  void end_answer(Answer* answer, std::shared_ptr<const Completion> completion);
  void stream_delta(size_t number, Delta delta);
  void finish();
  void finish_stream();
  void cancel_all();
  std::vector<size_t> best_answers(size_t prompt) const;
  FinishedAnswer finished(size_t number, int index) const;
  Json envelope(bool chunk) const;
  Json usage() const;
  SparsityReport sparsity() const;
  void write_event(const Json& object);

  CallHost& host_;
  std::shared_ptr<Responder> responder_;
  std::string request_id_;
  Clock::time_point arrived_, last_write_;
  int64_t created_;  // seconds of the epoch
  SequenceQuota::Ticket ticket_;
  std::shared_ptr<std::atomic<bool>> cancelled_;
  PreparedRequest prepared_;
  std::vector<std::vector<int32_t>> prompts_;  // as far as answers show them
  std::vector<uint64_t> ids_;                  // by prompt
  int made_ = 0;                               // answers to each prompt
  std::vector<Answer> answers_;
  size_t running_ = 0;  // answers that the engine still makes
  bool answered_ = false, left_queue_ = false;
  std::string out_;  // events not written yet
};

}  // namespace vortex::server
