// ApiServer: the routes of the OpenAI API, and the life of the server around an engine: loading, ready, draining, dead.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/generation_service.h"
#include "server/http/http_server.h"

namespace vortex::server {

struct ApiOptions {
  std::vector<std::string> model_names;
  RequestLimits limits;
  ServiceOptions service;
  bool tokenizer_info = false;   // /tokenizer_info exists
  double engine_timeout_s = 60;  // a step that takes longer is the engine's death; 0: never
};

class ApiServer {
 public:
  explicit ApiServer(ApiOptions options);
  ~ApiServer();

  /// For HttpServer::create(). Their handlers need attach() first.
  std::vector<Route> routes();
  /// `on_dead` is called once, on the network thread, when the engine is lost; by then all clients were told.
  void attach(HttpServer& http, std::function<void(const std::string& why)> on_dead);

  /// On the network thread: requests are served from now on. The engine must outlive close().
  void engine_ready(Engine& engine);
  /// On the network thread: ends every answer with 503 `draining`, or an event of that kind.
  void end_all();
  /// After the network thread has ended, before the engine does.
  void close();

 private:
  using Respond = std::shared_ptr<Responder>;

  Route get(std::string path, Access access, std::function<HttpResponse()> answer);
  Route generation(std::string path, Endpoint endpoint);
  Route on_worker(std::string path, std::function<HttpResponse(const RequestContext&, const HttpRequest&)> answer);
  HttpResponse health() const;
  HttpResponse metrics() const;
  std::optional<HttpResponse> not_ready() const;
  void tick();
  void watch_engine();
  void log_stats();

  ApiOptions options_;
  int64_t created_;
  HttpServer* http_ = nullptr;
  Engine* engine_ = nullptr;
  std::unique_ptr<GenerationService> service_;
  std::function<void(const std::string&)> on_dead_;
  std::string death_;  // why the engine is lost; empty while it is not
  std::string openapi_;
  int ticks_ = 0;
  EngineStats last_stats_;
};

}  // namespace vortex::server
