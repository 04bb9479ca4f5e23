#include "server/http/stats_book.h"

#include <algorithm>

namespace vortex::server {

StatsBook::StatsBook(const std::vector<Route>& routes) {
  for (const Route& route : routes) stats_.routes.push_back({.method = route.method, .path = route.path});
  stats_.routes.push_back({.method = "other", .path = "other"});
}

void StatsBook::add(int64_t HttpStats::*counter, int64_t change) {
  const std::lock_guard lock(mutex_);
  stats_.*counter += change;
}

void StatsBook::connection_opened() {
  const std::lock_guard lock(mutex_);
  ++stats_.open_connections;
  ++stats_.accepted_connections;
}

void StatsBook::connection_closed() { add(&HttpStats::open_connections, -1); }
void StatsBook::connection_refused() { add(&HttpStats::refused_connections, 1); }
void StatsBook::connection_cut() { add(&HttpStats::cut_connections, 1); }
void StatsBook::exchange_started() { add(&HttpStats::active_exchanges, 1); }

void StatsBook::exchange_finished(std::size_t route, int status, double seconds) {
  const auto& bounds = RouteStats::kBuckets;
  const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), seconds) - bounds.begin();
  const std::lock_guard lock(mutex_);
  --stats_.active_exchanges;
  RouteStats& row = stats_.routes[std::min(route, stats_.routes.size() - 1)];
  ++row.by_class[static_cast<std::size_t>(std::clamp(status / 100, 1, 5) - 1)];
  ++row.bucket_counts[static_cast<std::size_t>(bucket)];
  row.seconds_sum += seconds;
}

HttpStats StatsBook::snapshot() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace vortex::server
