// What all connections of a server share. Of the network thread, but for `stats` and `draining`.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "server/http/admission.h"
#include "server/http/auth.h"
#include "server/http/connection_pool.h"
#include "server/http/http_options.h"
#include "server/http/loop_core.h"
#include "server/http/router.h"
#include "server/http/stats_book.h"
#include "server/http/tls.h"

namespace vortex::server {

struct ServerContext {
  ServerContext(HttpOptions the_options, std::vector<Route> routes, KeyRing the_keys, std::optional<TlsContext> the_tls,
                std::shared_ptr<NetworkLoop::Core> the_loop);

  const HttpOptions options;
  const Router router;
  const KeyRing keys;
  const Admission admission;
  const std::optional<TlsContext> tls;
  const std::shared_ptr<NetworkLoop::Core> loop;

  StatsBook stats;
  std::atomic<bool> draining{false};
  bool stopping = false;
  int64_t active_exchanges = 0;
  int64_t body_bytes = 0;  // of all requests that are being received
  ConnectionPool pool;
  std::function<void()> on_change;  // an exchange has ended or a connection has closed
  std::vector<char> scratch;        // what is read lies here until it is looked at, which is at once
};

}  // namespace vortex::server
