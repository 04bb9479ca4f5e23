// The HTTP layer with a mocked engine, for load figures and for tests that attack the layer itself.
//
//   http_test_server [--port N] [--uds PATH] [--host H] [--api-key K]... [--admin-key K]... [--tls-cert F --tls-key F]
//                    [--header-ms N] [--body-ms N] [--idle-ms N] [--stall-ms N] [--max-body N] [--max-connections N]
//                    [--origin O]... [--access-log]
// Prints {"address":"...","pid":N} on stdout once it listens. SIGTERM drains, a second one stops.
#include <fmt/core.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <thread>

#include "base/log.h"
#include "server/http/error_body.h"
#include "server/http/http_server.h"

namespace vortex::server {
namespace {

std::atomic<int64_t> clients_gone{0};

int64_t number_in(const std::string& query, const std::string& name, int64_t otherwise) {
  const std::size_t at = ("&" + query).find("&" + name + "=");
  return at == std::string::npos ? otherwise : std::strtoll(query.c_str() + at + name.size() + 1, nullptr, 10);
}

// `count` events `every` milliseconds apart, each `size` bytes long; the first is sent at once.
class Ticker : public std::enable_shared_from_this<Ticker> {
 public:
  Ticker(NetworkLoop& loop, const HttpRequest& request, std::shared_ptr<Responder> responder)
      : loop_(loop),
        responder_(std::move(responder)),
        left_(number_in(request.query, "n", 10)),
        every_(number_in(request.query, "ms", 10)),
        padding_(static_cast<std::size_t>(number_in(request.query, "size", 0)), 'x') {}

  void start() {
    responder_->on_gone([self = weak_from_this()] {
      ++clients_gone;
      if (const auto ticker = self.lock()) ticker->left_ = 0;
    });
    responder_->begin({.content_type = "text/event-stream"});
    tick();
  }

 private:
  void tick() {
    if (left_ <= 0) return responder_->end();
    responder_->write(fmt::format("data: {}{}\n\n", count_++, padding_));
    --left_;
    loop_.after(every_, [self = shared_from_this()] { self->tick(); });
  }

  NetworkLoop& loop_;
  std::shared_ptr<Responder> responder_;
  int64_t left_, count_ = 0;
  std::chrono::milliseconds every_;
  std::string padding_;
};

// What a small completion costs without a model: a body is read, an answer of that size is written.
constexpr const char* kCompletion =
    R"({"id":"cmpl-0","object":"text_completion","created":0,"model":"mock","choices":[{"index":0,"text":" four",)"
    R"("finish_reason":"stop"}],"usage":{"prompt_tokens":4,"completion_tokens":1,"total_tokens":5}})";

// Set before any request can come.
struct Rig {
  HttpServer* server = nullptr;
};

std::vector<Route> routes(const std::shared_ptr<Rig>& rig) {
  using Call = std::shared_ptr<Responder>;
  return {
      {"GET", "/health", Access::kPublic,
       [rig](const HttpRequest&, const Call& call) {
         if (rig->server->draining()) {
           return call->send(error_response(503, "unavailable_error", "draining", "the server is about to stop"));
         }
         call->send({.body = R"({"status":"ok"})"});
       }},
      {"GET", "/stats", Access::kUser,
       [rig](const HttpRequest&, const Call& call) {
         const HttpStats stats = rig->server->stats();
         int64_t answers = 0;
         for (const RouteStats& route : stats.routes) {
           for (const int64_t count : route.by_class) answers += count;
         }
         call->send(
             {.body = fmt::format(
                  R"({{"open":{},"active":{},"accepted":{},"refused":{},"cut":{},"gone":{},"rows":{},"answers":{}}})",
                  stats.open_connections, stats.active_exchanges, stats.accepted_connections, stats.refused_connections,
                  stats.cut_connections, clients_gone.load(), stats.routes.size(), answers)});
       }},
      {"POST", "/echo", Access::kUser,
       [](HttpRequest request, const Call& call) {
         call->send({.body = std::move(request.body), .content_type = "application/octet-stream"});
       }},
      {"POST", "/v1/completions", Access::kUser,
       [](const HttpRequest&, const Call& call) { call->send({.body = kCompletion}); }},
      {"GET", "/tenant", Access::kUser,
       [](const HttpRequest& request, const Call& call) { call->send({.body = request.tenant}); }},
      {"GET", "/ticks", Access::kUser,
       [rig](const HttpRequest& request, const Call& call) {
         std::make_shared<Ticker>(rig->server->loop(), request, call)->start();
       }},
      {"GET", "/slow", Access::kUser,  // answered from another thread, after `ms`
       [](const HttpRequest& request, const Call& call) {
         call->on_gone([] { ++clients_gone; });
         std::thread([call, wait = std::chrono::milliseconds(number_in(request.query, "ms", 100))] {
           std::this_thread::sleep_for(wait);
           call->send({.body = "late", .content_type = "text/plain"});
         }).detach();
       }},
      {"GET", "/never", Access::kUser,  // until the client leaves
       [](const HttpRequest&, const Call& call) { call->on_gone([call] { ++clients_gone; }); }},
      {"GET", "/dropped", Access::kUser, [](const HttpRequest&, const Call&) {}},
      {"GET", "/throws", Access::kUser,
       [](const HttpRequest&, const Call&) { throw std::runtime_error("secret of the handler"); }},
      {"GET", "/cut", Access::kUser,
       [](const HttpRequest&, const Call& call) {
         call->begin({.body = "half of", .content_type = "text/plain"});
         call->cut();
       }},
      {"GET", "/admin", Access::kAdmin, [](const HttpRequest&, const Call& call) { call->send({.body = "{}"}); }},
  };
}

// Flags that take a value.
std::map<std::string, std::function<void(const char*)>> flags(HttpOptions& options) {
  HttpLimits& limits = options.limits;
  const auto text = [](std::string& target) { return [&target](const char* value) { target = value; }; };
  const auto list = [](std::vector<std::string>& target) {
    return [&target](const char* value) { target.emplace_back(value); };
  };
  const auto time = [](std::chrono::milliseconds& target) {
    return [&target](const char* value) { target = std::chrono::milliseconds(std::atoll(value)); };
  };
  const auto count = [](int64_t& target) { return [&target](const char* value) { target = std::atoll(value); }; };
  return {
      {"--port", [&](const char* value) { options.port = std::atoi(value); }},
      {"--host", text(options.host)},
      {"--uds", text(options.uds)},
      {"--tls-cert", text(options.tls_cert)},
      {"--tls-key", text(options.tls_key)},
      {"--api-key", list(options.api_keys)},
      {"--admin-key", list(options.admin_keys)},
      {"--origin", list(options.allowed_origins)},
      {"--header-ms", time(limits.header_time)},
      {"--body-ms", time(limits.body_time)},
      {"--idle-ms", time(limits.idle_time)},
      {"--stall-ms", time(limits.write_stall_time)},
      {"--max-body", count(limits.body_bytes)},
      {"--max-connections", count(limits.connections)},
  };
}

void log_access(const AccessRecord& record) {
  log_info("{} {} '{}' {} {} bytes {:.6f} s {}", record.id, record.method, record.route, record.status, record.bytes,
           record.seconds, record.client);
}

// Waits for signals, which all other threads have blocked.
void obey_signals(HttpServer& server, const sigset_t& signals) {
  int number = 0;
  sigwait(&signals, &number);
  server.drain();
  sigwait(&signals, &number);
  server.stop();
}

int serve(HttpOptions options) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const auto rig = std::make_shared<Rig>();
  auto server = HttpServer::create(std::move(options), routes(rig));
  if (!server.ok()) {
    fmt::print(stderr, "{}\n", server.error().to_string());
    return exit_status(server.error().code);
  }
  rig->server = server->get();
  fmt::print("{{\"address\":\"{}\",\"pid\":{}}}\n", (*server)->address(), getpid());
  std::fflush(stdout);
  std::thread(obey_signals, std::ref(**server), signals).detach();
  (*server)->run();
  server->reset();
  std::_Exit(0);  // the thread above still waits
}

}  // namespace
}  // namespace vortex::server

int main(int argc, char** argv) {
  vortex::server::HttpOptions options{.port = 0};
  const auto flags = vortex::server::flags(options);
  for (int i = 1; i < argc; ++i) {
    const auto flag = flags.find(argv[i]);
    if (std::string(argv[i]) == "--access-log") {
      options.on_finished = vortex::server::log_access;
    } else if (flag != flags.end() && i + 1 < argc) {
      flag->second(argv[++i]);
    } else {
      fmt::print(stderr, "http_test_server: what is {}?\n", argv[i]);
      return 2;
    }
  }
  return vortex::server::serve(std::move(options));
}
