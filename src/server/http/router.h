// The table of routes: exact paths, looked up by path and method.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/http/exchange.h"

namespace vortex::server {

class Router {
 public:
  /// No (method, path) twice.
  explicit Router(std::vector<Route> routes);

  /// Index of the row that answers; HEAD is answered by GET's. npos where there is none.
  std::size_t find(std::string_view method, std::string_view path) const;
  /// "GET, HEAD, OPTIONS": the methods that the path has rows for; empty for an unknown path.
  std::string allowed_methods(std::string_view path) const;

  const std::vector<Route>& routes() const { return routes_; }
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);

 private:
  std::vector<Route> routes_;
  std::unordered_map<std::string_view, std::vector<std::size_t>> rows_;  // by path; keys lie in routes_
};

}  // namespace vortex::server
