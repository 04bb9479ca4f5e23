#include "server/generation_service.h"

#include <algorithm>
#include <cmath>

#include "base/log.h"
#include "server/answer_parsers.h"
#include "server/http/error_body.h"
#include "server/response/error_answer.h"

namespace vortex::server {
namespace {

constexpr std::chrono::seconds kProbeTime{20};
constexpr size_t kMostLoggedBytes = 512;

/// Requests of different keys never share pages.
std::string salted(const std::string& tenant, const std::string& salt) {
  return tenant.empty() && salt.empty() ? "" : tenant + '\n' + salt;
}

struct Worked {
  ApiResult<PreparedRequest> prepared;
  int unknown_fields = 0;
};

Worked read_and_prepare(Endpoint endpoint, const std::string& body, const Preparers& preparers, Call& call) {
  const auto cancelled = [&call] { return call.cancelled()->load(); };
  if (cancelled()) return {ApiError{499, "cancelled", "The client left.", ""}};
  ApiResult<ReadRequest> read = read_request(endpoint, body, *preparers.context);
  if (!read.ok()) return {read.error()};
  const int unknown = read->unknown_fields;
  if (!call.ticket().grow_to(read->sequences()))
    return {unavailable("overloaded", "The server is full; try again later."), unknown};
  return {prepare(std::move(*read), preparers, cancelled), unknown};
}

/// What a library throws after all, for want of memory above all, costs one request and not the server.
Worked work_on(Endpoint endpoint, const std::string& body, const Preparers& preparers, Call& call) {
  try {
    return read_and_prepare(endpoint, body, preparers, call);
  } catch (const std::exception& fault) {
    log_error("a request could not be prepared: {}", fault.what());
    return {ApiError{500, "internal_error", "The server failed to read the request.", ""}};
  }
}

HttpResponse made_safely(const std::function<HttpResponse()>& make) {
  try {
    return make();
  } catch (const std::exception& fault) {
    log_error("an answer could not be made: {}", fault.what());
    return internal_error_response();
  }
}

}  // namespace

GenerationService::GenerationService(Engine& engine, RequestContext context, ServiceOptions options, NetworkLoop& loop)
    : engine_(engine),
      context_(std::move(context)),
      options_(std::move(options)),
      loop_(loop),
      preparers_(make_preparers()),
      quota_(context_.limits.max_sequences, options_.max_num_queued_tokens),
      metrics_(context_.max_model_len),
      relay_(loop, [this](std::vector<AnswerEvent> events) { deliver(std::move(events)); }),
      alive_(std::make_shared<bool>(true)),
      work_(options_.workers) {}

GenerationService::~GenerationService() {
  *alive_ = false;
  relay_.close();
}

Preparers GenerationService::make_preparers() {
  Preparers preparers;
  preparers.context = &context_;
  preparers.check = [this](const GenerateRequest& request) { return engine_.check(request); };
  preparers.compile_grammar = make_grammar_compiler(context_, engine_.end_ids());
  const std::string chat_template = context_.codec == nullptr ? "" : context_.codec->chat_template_source();
  preparers.tool_call_parser = tool_call_parser_name(options_.tool_call_parser, chat_template);
  preparers.reasoning_parser = reasoning_parser_name(options_.reasoning_parser, chat_template);
  return preparers;
}

void GenerationService::handle(Endpoint endpoint, HttpRequest request, std::shared_ptr<Responder> responder) {
  auto ticket = quota_.enter();
  if (!ticket) {
    metrics_.on_refused("overloaded");
    return responder->send(overloaded());
  }
  if (options_.log_requests)
    log_info_of(request.id, "{} {}", request.path, std::string_view(request.body).substr(0, kMostLoggedBytes));
  auto call = std::make_shared<Call>(*this, request, responder, *std::move(ticket));
  calls_[call.get()] = call;
  responder->on_gone([this, alive = alive_, weak = std::weak_ptr<Call>(call)] {
    const auto gone = weak.lock();
    if (!*alive || gone == nullptr) return;
    gone->abandon();
    forget_if_over(gone);
  });
  prepare_on_worker(endpoint, std::move(call), std::move(request));
}

void GenerationService::prepare_on_worker(Endpoint endpoint, std::shared_ptr<Call> call, HttpRequest request) {
  work_.post([this, endpoint, call = std::move(call), request = std::move(request)]() mutable {
    auto worked = std::make_shared<Worked>(work_on(endpoint, request.body, preparers_, *call));
    if (worked->prepared.ok())
      for (GenerateRequest& generate : worked->prepared->prompts) {
        generate.cache_salt = salted(request.tenant, generate.cache_salt);
        generate.queue_timeout_s = options_.queue_timeout_s;
      }
    loop_.post([this, alive = alive_, call = std::move(call), worked] {
      if (*alive) on_prepared(call, std::move(worked->prepared), worked->unknown_fields);
    });
  });
}

void GenerationService::on_prepared(const std::shared_ptr<Call>& call, ApiResult<PreparedRequest> prepared,
                                    int unknown_fields) {
  metrics_.on_unknown_fields(unknown_fields);
  int64_t tokens = 0;
  if (prepared.ok())
    for (const GenerateRequest& request : prepared->prompts) tokens += static_cast<int64_t>(request.prompt.size());
  if (call->answered()) {  // the client left meanwhile
  } else if (!prepared.ok()) {
    call->refuse(prepared.error(), retry_after_s());
  } else if (!call->ticket().queue_tokens(tokens)) {
    call->refuse(unavailable("overloaded", "Too many tokens wait; try again later."), retry_after_s());
  } else {
    for (const uint64_t id : call->start(std::move(*prepared))) by_engine_id_[id] = call;
  }
  forget_if_over(call);
}

void GenerationService::deliver(std::vector<AnswerEvent> events) {
  std::vector<std::shared_ptr<Call>> touched;
  for (AnswerEvent& event : events) {
    const auto it = by_engine_id_.find(event.id);
    if (it == by_engine_id_.end()) continue;
    if (touched.empty() || touched.back() != it->second) touched.push_back(it->second);
    it->second->on_event(std::move(event));
  }
  for (const auto& call : touched) {
    call->flush();
    forget_if_over(call);
  }
}

void GenerationService::forget_if_over(const std::shared_ptr<Call>& call) {
  if (!call->over()) return;
  for (const uint64_t id : call->engine_ids()) by_engine_id_.erase(id);
  calls_.erase(call.get());
}

uint64_t GenerationService::submit(GenerateRequest request) {
  metrics_.on_submitted(request);
  return engine_.submit(std::move(request), relay_.callback());
}

void GenerationService::cancel(uint64_t id) { engine_.cancel(id); }

void GenerationService::on_refused(const ApiError& error) { metrics_.on_refused(error.code); }

void GenerationService::on_answer(const Completion& completion, double seconds) {
  metrics_.on_answer(completion, seconds);
}

HttpResponse GenerationService::overloaded() const {
  return error_answer(unavailable("overloaded", "The server is full; try again later."), retry_after_s());
}

/// As long as the queue takes at the recent pace.
int GenerationService::retry_after_s() const {
  const double rounds = static_cast<double>(quota_.sequences()) / static_cast<double>(options_.max_num_seqs);
  return static_cast<int>(std::clamp(std::ceil(rounds * metrics_.recent_seconds()), 1.0, 60.0));
}

void GenerationService::answer_later(std::shared_ptr<Responder> responder, std::function<HttpResponse()> make) {
  auto ticket = quota_.enter();
  if (!ticket) return responder->send(overloaded());
  auto held = std::make_shared<SequenceQuota::Ticket>(*std::move(ticket));
  work_.post([responder, make = std::move(make), held] { responder->send(made_safely(make)); });
}

struct GenerationService::Probe {
  std::shared_ptr<Responder> responder;
  bool answered = false;  // network thread only

  void answer(const std::optional<Error>& error) {
    if (std::exchange(answered, true)) return;
    if (error) return responder->send(error_answer(unavailable("engine_dead", error->to_string())));
    responder->send({.body = R"({"status":"ok"})"});
  }
};

void GenerationService::probe(std::shared_ptr<Responder> responder) {
  auto probe = std::make_shared<Probe>(Probe{std::move(responder)});
  GenerateRequest request;
  request.prompt = {engine_.end_ids().empty() ? 0 : engine_.end_ids().front()};
  request.sampling.max_tokens = 1;
  request.sampling.temperature = 0;
  request.priority = INT64_MIN;
  const uint64_t id = engine_.submit(std::move(request), [probe, &loop = loop_](const StreamEvent& event) {
    if (event.completion == nullptr) return;
    loop.post([probe, error = event.completion->error] { probe->answer(error); });
  });
  probe->responder->on_gone([this, alive = alive_, id] {
    if (*alive) engine_.cancel(id);
  });
  loop_.after(kProbeTime, [probe] {
    probe->answer(Error{ErrorCode::kUnavailable, "", "no token within 20 seconds", ""});
  });
}

void GenerationService::fail_all(const ApiError& error) {
  const auto calls = calls_;
  for (const auto& [raw, call] : calls) {
    call->fail(error);
    forget_if_over(call);
  }
}

void GenerationService::ping_streams() {
  const auto now = Call::Clock::now();
  for (const auto& [raw, call] : calls_) call->ping(now);
}

}  // namespace vortex::server
