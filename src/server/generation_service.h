// GenerationService: chat and text completions of one engine. Everything here happens on the network thread; what is
// slow is handed to worker threads, and the engine's events come back through the relay.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "server/call.h"
#include "server/metrics.h"
#include "server/work_queue.h"
#include "vortex/engine.h"

namespace vortex::server {

struct ServiceOptions {
  int64_t max_num_seqs = 64;          // what the engine runs at once, for Retry-After
  int64_t max_num_queued_tokens = 0;  // of prompts that wait; 0: any number
  double queue_timeout_s = 0;         // a request that waits longer is refused; 0: waits for ever
  int workers = 2;
  bool log_requests = false;
  std::string tool_call_parser = "auto", reasoning_parser = "auto";
};

class GenerationService final : public CallHost {
 public:
  GenerationService(Engine& engine, RequestContext context, ServiceOptions options, NetworkLoop& loop);
  ~GenerationService() override;

  /// Answers a POST to one of the two endpoints.
  void handle(Endpoint endpoint, HttpRequest request, std::shared_ptr<Responder> responder);
  /// Runs `make` on a worker thread and sends what it returns; 503 when the server is full.
  void answer_later(std::shared_ptr<Responder> responder, std::function<HttpResponse()> make);
  /// Makes one token and says whether that worked, within 20 seconds.
  void probe(std::shared_ptr<Responder> responder);

  /// Ends every answer with this error.
  void fail_all(const ApiError& error);
  void ping_streams();

  const RequestContext& context() const { return context_; }
  const RequestMetrics& metrics() const { return metrics_; }
  bool idle() const { return calls_.empty(); }

 private:
  struct Probe;

  uint64_t submit(GenerateRequest request) override;
  void cancel(uint64_t id) override;
  void on_refused(const ApiError& error) override;
  void on_answer(const Completion& completion, double seconds) override;

  void prepare_on_worker(Endpoint endpoint, std::shared_ptr<Call> call, HttpRequest request);
  void on_prepared(const std::shared_ptr<Call>& call, ApiResult<PreparedRequest> prepared, int unknown_fields);
  void deliver(std::vector<AnswerEvent> events);
  void forget_if_over(const std::shared_ptr<Call>& call);
  HttpResponse overloaded() const;
  int retry_after_s() const;
  Preparers make_preparers();

  Engine& engine_;
  const RequestContext context_;
  const ServiceOptions options_;
  NetworkLoop& loop_;
  Preparers preparers_;
  SequenceQuota quota_;
  RequestMetrics metrics_;
  EventRelay relay_;
  std::unordered_map<const Call*, std::shared_ptr<Call>> calls_;
  std::unordered_map<uint64_t, std::shared_ptr<Call>> by_engine_id_;
  std::shared_ptr<bool> alive_;  // false when this is gone: tasks posted to the loop look at it
  WorkQueue work_;               // last: its threads end before what they use
};

}  // namespace vortex::server
