#include "server/api_server.h"

#include <algorithm>
#include <ctime>

#include "base/log.h"
#include "server/openapi.h"
#include "server/response/error_answer.h"
#include "server/status_answers.h"
#include "server/token_answers.h"

namespace vortex::server {
namespace {

constexpr std::chrono::milliseconds kTick{500};
constexpr int kTicksBetweenStats = 20;

RequestContext make_context(const Engine& engine, const ApiOptions& options) {
  RequestContext context;
  context.model_names = options.model_names;
  context.codec = engine.codec();
  context.max_model_len = engine.info().max_model_len;
  context.vocab_size = engine.info().config.vocab_size;
  context.default_sampling = engine.default_sampling();
  context.limits = options.limits;
  size_t longest = 1;
  if (context.codec != nullptr)
    for (int32_t id = 0; id < context.codec->tokenizer().vocab_size(); ++id)
      longest = std::max(longest, context.codec->tokenizer().token_bytes(id).size());
  context.max_prompt_bytes = context.max_model_len * static_cast<int64_t>(longest);
  return context;
}

}  // namespace

ApiServer::ApiServer(ApiOptions options)
    : options_(std::move(options)), created_(std::time(nullptr)), openapi_(openapi_text(VORTEX_VERSION)) {}

ApiServer::~ApiServer() = default;

void ApiServer::attach(HttpServer& http, std::function<void(const std::string&)> on_dead) {
  http_ = &http;
  on_dead_ = std::move(on_dead);
  http_->loop().after(kTick, [this] { tick(); });
}

void ApiServer::engine_ready(Engine& engine) {
  engine_ = &engine;
  service_ =
      std::make_unique<GenerationService>(engine, make_context(engine, options_), options_.service, http_->loop());
}

void ApiServer::end_all() {
  if (service_ != nullptr) service_->fail_all(unavailable("draining", "The server is shutting down."));
}

void ApiServer::close() { service_.reset(); }

/// Why a request cannot be taken; nothing when it can.
std::optional<HttpResponse> ApiServer::not_ready() const {
  if (!death_.empty()) return error_answer(unavailable("engine_dead", "The engine has stopped."));
  if (service_ == nullptr) return error_answer(unavailable("loading", "The model is being loaded."));
  return std::nullopt;
}

HttpResponse ApiServer::health() const {
  if (auto refusal = not_ready()) return *std::move(refusal);
  if (http_->draining()) return error_answer(unavailable("draining", "The server is shutting down."));
  return status_ok();
}

HttpResponse ApiServer::metrics() const {
  if (service_ == nullptr) return *not_ready();
  HttpResponse response;
  response.body = metrics_page(options_.model_names.front(), engine_->stats(), engine_->info(), service_->metrics(),
                               http_->stats());
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  return response;
}

Route ApiServer::get(std::string path, Access access, std::function<HttpResponse()> answer) {
  return {"GET", std::move(path), access,
          [answer = std::move(answer)](const HttpRequest&, const Respond& responder) { responder->send(answer()); }};
}

Route ApiServer::generation(std::string path, Endpoint endpoint) {
  return {"POST", std::move(path), Access::kUser, [this, endpoint](HttpRequest request, Respond responder) {
            if (auto refusal = not_ready()) return responder->send(*std::move(refusal));
            service_->handle(endpoint, std::move(request), std::move(responder));
          }};
}

Route ApiServer::on_worker(std::string path,
                           std::function<HttpResponse(const RequestContext&, const HttpRequest&)> answer) {
  return {"POST", std::move(path), Access::kUser,
          [this, answer = std::move(answer)](HttpRequest request, Respond responder) {
            if (auto refusal = not_ready()) return responder->send(*std::move(refusal));
            service_->answer_later(std::move(responder),
                                   [answer, &context = service_->context(), request = std::move(request)] {
                                     return answer(context, request);
                                   });
          }};
}

std::vector<Route> ApiServer::routes() {
  using enum Access;
  std::vector<Route> routes = {
      get("/health", kPublic, [this] { return health(); }),
      get("/health/ready", kPublic, [this] { return health(); }),
      get("/health/live", kPublic, [] { return status_ok(); }),
      get("/ping", kUser, [this] { return health(); }),
      get("/version", kUser, [] { return version_answer(); }),
      get("/metrics", kUser, [this] { return metrics(); }),
      get("/openapi.json", kUser, [this] { return HttpResponse{.body = openapi_}; }),
      get("/", kUser, [] { return root_answer(); }),
      generation("/v1/chat/completions", Endpoint::kChat),
      generation("/v1/completions", Endpoint::kCompletion),
      on_worker("/tokenize", [](const RequestContext& c, const HttpRequest& r) { return tokenize_answer(c, r.body); }),
      on_worker("/detokenize",
                [](const RequestContext& c, const HttpRequest& r) { return detokenize_answer(c, r.body); }),
  };
  routes.push_back({"GET", "/health_generate", kUser, [this](const HttpRequest&, Respond responder) {
                      if (auto refusal = not_ready()) return responder->send(*std::move(refusal));
                      service_->probe(std::move(responder));
                    }});
  const auto when_loaded = [this](auto make) {
    return [this, make] {
      auto refusal = not_ready();
      return refusal ? *std::move(refusal) : make(service_->context());
    };
  };
  const int64_t created = created_;
  routes.push_back(get("/v1/models", kUser, when_loaded([created](const RequestContext& context) {
                         return models_answer(context, created);
                       })));
  for (const std::string& name : options_.model_names)
    routes.push_back(get("/v1/models/" + name, kUser, when_loaded([created, name](const RequestContext& context) {
                           return model_answer(context, name, created);
                         })));
  if (options_.tokenizer_info) routes.push_back(get("/tokenizer_info", kUser, when_loaded(tokenizer_info_answer)));
  for (const char* path : {"/v1/embeddings", "/v1/rerank", "/v1/score", "/v1/responses", "/v1/messages"})
    routes.push_back({"POST", path, kUser, [path](const HttpRequest&, const Respond& responder) {
                        responder->send(not_built_answer(path));
                      }});
  return routes;
}

void ApiServer::tick() {
  http_->loop().after(kTick, [this] { tick(); });
  if (service_ == nullptr) return;
  watch_engine();
  service_->ping_streams();
  if (++ticks_ % kTicksBetweenStats == 0) log_stats();
}

void ApiServer::watch_engine() {
  if (!death_.empty()) return;
  if (const auto failure = engine_->failure()) {
    death_ = failure->to_string();
  } else if (options_.engine_timeout_s > 0 && engine_->step_running_s() > options_.engine_timeout_s) {
    death_ = fmt::format("a step has taken more than {} s", options_.engine_timeout_s);
  }
  if (death_.empty()) return;
  service_->fail_all(unavailable("engine_dead", "The engine has stopped."));
  on_dead_(death_);
}

void ApiServer::log_stats() {
  const EngineStats now = engine_->stats();
  const EngineStats before = std::exchange(last_stats_, now);
  const bool quiet = now.running == 0 && now.waiting == 0 && now.generation_tokens == before.generation_tokens &&
                     now.prompt_tokens == before.prompt_tokens;
  if (quiet) return;
  const double seconds = std::chrono::duration<double>(kTick).count() * kTicksBetweenStats;
  const auto rate = [&](int64_t a, int64_t b) { return static_cast<double>(a - b) / seconds; };
  const auto share = [](int64_t part, int64_t whole) {
    return whole > 0 ? 100.0 * static_cast<double>(part) / static_cast<double>(whole) : 0.0;
  };
  log_info(
      "prompt {:.1f} tokens/s, generation {:.1f} tokens/s, running {}, waiting {}, KV in use {:.1f} %, "
      "prefix hits {:.1f} %, pages read {:.1f} %",
      rate(now.prompt_tokens, before.prompt_tokens), rate(now.generation_tokens, before.generation_tokens), now.running,
      now.waiting, share(now.pages_used, now.pages_total), share(now.prefix_hits, now.prefix_queries),
      share(now.sparse_pages_read, now.sparse_pages_held));
}

}  // namespace vortex::server
