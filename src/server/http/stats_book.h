// Keeps HttpStats. Thread-safe.
#pragma once

#include <mutex>
#include <vector>

#include "server/http/exchange.h"
#include "server/http/http_stats.h"

namespace vortex::server {

class StatsBook {
 public:
  explicit StatsBook(const std::vector<Route>& routes);

  void connection_opened();
  void connection_closed();
  void connection_refused();
  void connection_cut();
  void exchange_started();
  /// `route` is a row of the table, or past its end for a request that matched none.
  void exchange_finished(std::size_t route, int status, double seconds);

  HttpStats snapshot() const;

 private:
  void add(int64_t HttpStats::*counter, int64_t change);

  mutable std::mutex mutex_;
  HttpStats stats_;
};

}  // namespace vortex::server
