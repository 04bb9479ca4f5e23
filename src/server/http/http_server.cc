#include "server/http/http_server.h"

#include <sys/resource.h>

#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <utility>

#include "server/http/connection.h"
#include "server/http/listener.h"
#include "server/http/server_context.h"

namespace vortex::server {
namespace {

constexpr std::chrono::milliseconds kSweep{250};
// To deliver what is complete, and for clients to take note.
constexpr std::chrono::milliseconds kStopTime{500}, kDrainEndTime{3'000};

void raise_file_limit() {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == files.rlim_max) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

std::chrono::milliseconds sweep_interval(const HttpLimits& limits) {
  const auto shortest = std::min({limits.header_time, limits.body_time, limits.idle_time, limits.write_stall_time}) / 4;
  return std::clamp<std::chrono::milliseconds>(shortest, std::chrono::milliseconds(10), kSweep);
}

Result<std::optional<TlsContext>> load_tls(const HttpOptions& options) {
  if (options.tls_cert.empty() && options.tls_key.empty()) return std::optional<TlsContext>();
  if (options.tls_cert.empty() || options.tls_key.empty()) {
    return Error{ErrorCode::kConfiguration, options.tls_cert.empty() ? "ssl-certfile" : "ssl-keyfile",
                 "TLS needs a certificate and its key", "give both files, or neither"};
  }
  VORTEX_ASSIGN_OR_RETURN(TlsContext context, TlsContext::load(options.tls_cert, options.tls_key));
  return std::optional<TlsContext>(std::move(context));
}

}  // namespace

ServerContext::ServerContext(HttpOptions the_options, std::vector<Route> routes, KeyRing the_keys,
                             std::optional<TlsContext> the_tls, std::shared_ptr<NetworkLoop::Core> the_loop)
    : options(std::move(the_options)),
      router(std::move(routes)),
      keys(std::move(the_keys)),
      admission(options, router, keys),
      tls(std::move(the_tls)),
      loop(std::move(the_loop)),
      stats(router.routes()),
      scratch(64 << 10) {}

class HttpServer::Impl {
 public:
  Impl(HttpOptions options, std::vector<Route> routes, KeyRing keys, std::optional<TlsContext> tls, ListenSocket socket)
      : context_(std::move(options), std::move(routes), std::move(keys), std::move(tls), loop_.core()),
        listener_(context_, std::move(socket)),
        sweep_(loop_.core()->io) {
    context_.on_change = [this] { look_for_the_end(); };
  }

  ~Impl() {
    loop_.core()->close();
    context_.stopping = true;
    context_.pool.for_each([](Connection& connection) { connection.evict(); });
    listener_.close();
    sweep_.cancel();
    // The waits that were cancelled hold their connections until they are told.
    loop_.core()->io.restart();
    loop_.core()->io.poll();
  }

  void run() {
    listener_.start();
    sweep();
    loop_.run();
  }

  void drain() {
    context_.draining = true;
    loop_.post([this] { look_for_the_end(); });
  }

  void stop() {
    context_.draining = true;
    loop_.post([this] { close_all(kStopTime); });
  }

  ServerContext& context() { return context_; }
  NetworkLoop& loop() { return loop_; }
  const ListenSocket& socket() const { return listener_.socket(); }

 private:
  void sweep() {
    sweep_.expires_after(sweep_interval(context_.options.limits));
    sweep_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;
      const auto now = Connection::Clock::now();
      context_.pool.for_each([now](Connection& connection) { connection.enforce_deadlines(now); });
      sweep();
    });
  }

  // Called in the middle of connections: acts later.
  void look_for_the_end() {
    if (!context_.draining || context_.active_exchanges > 0) return;
    loop_.post([this] {
      if (context_.active_exchanges > 0) return;
      if (!context_.stopping) close_all(kDrainEndTime);
      if (context_.pool.size() == 0) loop_.stop();
    });
  }

  void close_all(std::chrono::milliseconds limit) {
    loop_.after(limit, [this] { loop_.stop(); });
    if (!std::exchange(context_.stopping, true)) listener_.close();
    context_.pool.for_each([](Connection& connection) { connection.shut_down(); });
    look_for_the_end();
  }

  NetworkLoop loop_;
  ServerContext context_;
  Listener listener_;
  boost::asio::steady_timer sweep_;
};

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

Result<std::unique_ptr<HttpServer>> HttpServer::create(HttpOptions options, std::vector<Route> routes) {
  std::signal(SIGPIPE, SIG_IGN);
  raise_file_limit();
  VORTEX_ASSIGN_OR_RETURN(KeyRing keys, KeyRing::create(options.api_keys, options.admin_keys));
  VORTEX_ASSIGN_OR_RETURN(std::optional<TlsContext> tls, load_tls(options));
  VORTEX_ASSIGN_OR_RETURN(ListenSocket socket, options.uds.empty() ? listen_on_tcp(options.host, options.port)
                                                                   : listen_on_path(options.uds));
  options.api_keys.clear();  // digests are all that is kept
  options.admin_keys.clear();
  return std::unique_ptr<HttpServer>(new HttpServer(std::make_unique<Impl>(
      std::move(options), std::move(routes), std::move(keys), std::move(tls), std::move(socket))));
}

int HttpServer::port() const { return impl_->socket().port; }

std::string HttpServer::address() const {
  const std::string& address = impl_->socket().address;
  if (impl_->socket().port == 0) return address;
  return (impl_->context().tls ? "https://" : "http://") + address;
}

NetworkLoop& HttpServer::loop() { return impl_->loop(); }
void HttpServer::run() { impl_->run(); }
void HttpServer::drain() { impl_->drain(); }
bool HttpServer::draining() const { return impl_->context().draining; }
void HttpServer::stop() { impl_->stop(); }
HttpStats HttpServer::stats() const { return impl_->context().stats.snapshot(); }

}  // namespace vortex::server
