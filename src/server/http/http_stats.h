// Counters of the HTTP layer. Their number is fixed by the table of routes: no request can add a label.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace vortex::server {

/// Of one row of the table, and of one for all requests that matched none (method and path "other").
struct RouteStats {
  static constexpr std::array<double, 14> kBuckets = {.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60};

  std::string method, path;
  std::array<int64_t, 5> by_class = {};        // 1xx to 5xx; a client that left counts as 4xx
  std::array<int64_t, 15> bucket_counts = {};  // up to each bound, then above; not cumulative
  double seconds_sum = 0;
};

struct HttpStats {
  int64_t open_connections = 0;
  int64_t active_exchanges = 0;      // requests being answered
  int64_t accepted_connections = 0;  // since start
  int64_t refused_connections = 0;   // over the cap of connections or file descriptors
  int64_t cut_connections = 0;       // clients that read too slowly
  std::vector<RouteStats> routes;
};

}  // namespace vortex::server
