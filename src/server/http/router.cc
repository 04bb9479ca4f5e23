#include "server/http/router.h"

#include <utility>

#include "base/check.h"

namespace vortex::server {

Router::Router(std::vector<Route> routes) : routes_(std::move(routes)) {
  for (std::size_t row = 0; row < routes_.size(); ++row) {
    const Route& route = routes_[row];
    VORTEX_CHECK(find(route.method, route.path) == npos, "{} {} is routed twice", route.method, route.path);
    rows_[route.path].push_back(row);
  }
}

std::size_t Router::find(std::string_view method, std::string_view path) const {
  const auto rows = rows_.find(path);
  if (rows == rows_.end()) return npos;
  const std::string_view wanted = method == "HEAD" ? "GET" : method;
  for (const std::size_t row : rows->second) {
    if (routes_[row].method == wanted) return row;
  }
  return npos;
}

std::string Router::allowed_methods(std::string_view path) const {
  const auto rows = rows_.find(path);
  if (rows == rows_.end()) return {};
  std::string methods;
  for (const std::size_t row : rows->second) {
    methods += routes_[row].method + ", ";
    if (routes_[row].method == "GET") methods += "HEAD, ";
  }
  return methods + "OPTIONS";
}

}  // namespace vortex::server
