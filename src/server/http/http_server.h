// HttpServer: HTTP/1.1 on one thread, over TCP, TLS or a Unix socket, for a table of routes.
//
// What a client may expect:
// - Requests of one connection are answered in order, pipelined ones too. A request with a body that is refused
//   before the body was read (wrong key, too big) closes the connection.
// - A client that closes, or half-closes, its side while an answer is being made is taken to have left: the answer's
//   on_gone is called and nothing more is sent. Bytes of answers already complete are still delivered.
// - Every answer has an x-request-id; every error raised here has the shape of error_body.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "server/http/exchange.h"
#include "server/http/http_options.h"
#include "server/http/http_stats.h"
#include "server/http/loop.h"

namespace vortex::server {

class HttpServer {
 public:
  /// Binds and listens, so that the port is known; clients wait until run(). Ignores SIGPIPE and raises the soft limit
  /// of open files for the whole process. Errors: kConfiguration for keys, certificates or an address that cannot be
  /// used.
  static Result<std::unique_ptr<HttpServer>> create(HttpOptions options, std::vector<Route> routes);
  /// After run() has returned, or where it was never called.
  ~HttpServer();

  /// The port that was bound; 0 for a Unix socket.
  int port() const;
  /// "http://127.0.0.1:30000", or "unix:/run/vortex.sock".
  std::string address() const;
  NetworkLoop& loop();

  /// Serves on the calling thread until stop(), or until a drain is through.
  void run();
  /// Thread-safe. From now on a new request gets 503 `draining` with Retry-After, but for the public routes, whose
  /// handlers look at draining(); when the last exchange has ended run() returns.
  void drain();
  bool draining() const;
  /// Thread-safe. Cuts what still runs; what handlers posted before it, answers included, is still sent, within half a
  /// second. Then run() returns.
  void stop();

  /// Thread-safe.
  HttpStats stats() const;

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vortex::server
