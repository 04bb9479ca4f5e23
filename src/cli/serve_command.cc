#include <atomic>
#include <csignal>
#include <cstdlib>
#include <future>
#include <thread>

#include "base/log.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/serve_options.h"
#include "server/http/notify.h"
#include "server/http/origin.h"

namespace vortex::cli {
namespace {

using server::ApiServer;
using server::HttpServer;

/// Waits for the signals that end a server, on a thread of its own. Made before any other thread, so that none of them
/// is interrupted.
class SignalWaiter {
 public:
  SignalWaiter() {
    sigemptyset(&signals_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals_, signal);
    pthread_sigmask(SIG_BLOCK, &signals_, &previous_);
  }
  ~SignalWaiter() {
    finish();
    pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
  }
  SignalWaiter(const SignalWaiter&) = delete;
  SignalWaiter& operator=(const SignalWaiter&) = delete;

  /// After this `first` is not called, and not being called.
  void finish() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
  }

  /// Calls `first` at the first signal; the second one ends the process.
  void start(std::function<void(int signal)> first) {
    thread_ = std::thread([this, first = std::move(first)] {
      for (int seen = 0; !stopping_;) {
        const timespec wait = {0, 100'000'000};
        const int signal = sigtimedwait(&signals_, nullptr, &wait);
        if (signal <= 0) continue;
        if (++seen > 1) std::_Exit(128 + signal);
        first(signal);
      }
    });
  }

 private:
  sigset_t signals_, previous_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

void log_request(const server::AccessRecord& record) {
  for (const char* quiet : {"/health", "/health/live", "/health/ready", "/ping", "/metrics"})
    if (record.route == quiet && record.status < 400) return;
  log_info_of(record.id, "{} {} {} {} bytes in {:.3f} s from {}", record.method,
              record.route.empty() ? "(no route)" : record.route, record.status, record.bytes, record.seconds,
              record.client);
}

class ServeCommand final : public Command {
 public:
  std::string_view name() const override { return "serve"; }
  std::string_view summary() const override { return "Serve the OpenAI API over HTTP"; }
  unsigned settings() const override { return kServeCommand; }
  void add_options(CLI::App& app) override { model_.add_to(app, /*positional=*/true); }

  Status run(const Settings& settings) override {
    SignalWaiter signals;
    VORTEX_ASSIGN_OR_RETURN(EngineOptions options, model_.engine_options(settings));
    VORTEX_ASSIGN_OR_RETURN(server::HttpOptions http_settings, http_options(settings));
    const auto max_topk = options.vortex ? options.vortex->max_topk_val : std::nullopt;
    VORTEX_ASSIGN_OR_RETURN(server::ApiOptions api_settings, api_options(settings, model_.model, max_topk));
    if (settings.get_bool("access-log")) http_settings.on_finished = log_request;
    const bool open_to_all =
        http_settings.uds.empty() && !server::is_loopback_name(http_settings.host) && http_settings.api_keys.empty();
    ApiServer api(std::move(api_settings));
    VORTEX_ASSIGN_OR_RETURN(auto http, HttpServer::create(std::move(http_settings), api.routes()));
    if (open_to_all)
      log_warn("listening on {} without --api-key: anyone who reaches this machine may use the model", http->address());
    api.attach(*http, [](const std::string& why) { die(why); });
    signals.start([&](int signal) { shut_down(*http, api, signal, settings.get_float("shutdown-timeout")); });
    const Status ended = serve(std::move(options), *http, api);
    signals.finish();  // it may still be looking at the server that a drain has just ended
    return ended;
  }

 private:
  /// Loads the model beside the running server, so that health checks are answered meanwhile.
  Status serve(EngineOptions options, HttpServer& http, ApiServer& api) {
    std::unique_ptr<Engine> engine;
    std::optional<Error> failure;
    std::promise<void> loaded;
    std::future<void> load_ended = loaded.get_future();
    std::thread loader([&] {
      auto started = model_.start(options);
      if (!started.ok()) failure = started.error();
      if (started.ok()) engine = std::move(*started);
      loaded.set_value();  // before anything that ends run(): who comes back from it looks at this
      if (failure) return http.stop();
      http.loop().post([&] {
        api.engine_ready(*engine);
        announce(*engine, options, http);
        server::feed_watchdog(http.loop(), [&] { return !engine->failure(); });
      });
    });
    http.run();
    if (load_ended.wait_for(std::chrono::seconds(0)) != std::future_status::ready) std::_Exit(0);  // asked to end
    loader.join();
    api.close();
    if (failure) return *failure;
    log_info("stopped");
    return {};
  }

  static void announce(const Engine& engine, const EngineOptions& options, const HttpServer& http) {
    const EngineInfo& info = engine.info();
    log_info("{} loaded in {:.2f} s, {}", options.model, info.load_s,
             info.flow.empty() ? "dense attention" : "sparse attention by " + info.flow);
    log_info("KV cache: {} tokens, {} MB", info.kv_tokens, info.kv_bytes / 1'000'000);
    log_info("maximum concurrency for {} tokens per request: {:.2f}x", info.max_model_len,
             static_cast<double>(info.kv_tokens) / static_cast<double>(info.max_model_len));
    log_info("listening on {}", http.address());
    server::notify_service_manager("READY=1\nSTATUS=Serving");
  }

  /// The engine may hang: nothing can be waited for. Clients were told; their answers are on the way.
  static void die(const std::string& why) {
    log_error("the engine has stopped: {}", why);
    std::thread([] {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      std::_Exit(1);
    }).detach();
  }

  static void shut_down(HttpServer& http, ApiServer& api, int signal, double timeout_s) {
    log_info("signal {}: finishing what runs, at most {} s", signal, timeout_s);
    server::notify_service_manager("STOPPING=1");
    http.drain();
    const std::chrono::milliseconds timeout(static_cast<int64_t>(timeout_s * 1000));
    http.loop().after(timeout, [&] {
      api.end_all();
      http.stop();
    });
  }

  ModelOptions model_;
};

}  // namespace

std::unique_ptr<Command> make_serve_command() { return std::make_unique<ServeCommand>(); }

}  // namespace vortex::cli
