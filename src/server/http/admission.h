// Whether a request may reach its handler, told from its headers alone: host, route, key, content coding.
#pragma once

#include <optional>
#include <string>

#include "server/http/auth.h"
#include "server/http/exchange.h"
#include "server/http/http_options.h"
#include "server/http/router.h"

namespace vortex::server {

class Admission {
 public:
  /// The references must outlive this object.
  Admission(const HttpOptions& options, const Router& router, const KeyRing& keys);

  struct Verdict {
    std::size_t route = Router::npos;     // the row that the request is for, also where it is refused
    std::optional<HttpResponse> refusal;  // or the answer to a CORS preflight
    std::string tenant;
  };
  /// `full`: only public routes are open, and `busy` is what the others answer.
  Verdict judge(const HttpRequest& request, const std::optional<HttpResponse>& busy) const;

  /// Headers that let the origin of the request read the answer; none where it may not, or there is no origin.
  HeaderList cors_headers(const HttpRequest& request) const;

 private:
  bool host_is_ours(const HttpRequest& request) const;
  HttpResponse preflight(const HttpRequest& request, const std::string& methods) const;
  std::optional<HttpResponse> check_key(const Route& route, const HttpRequest& request, std::string& tenant) const;

  const HttpOptions& options_;
  const Router& router_;
  const KeyRing& keys_;
  bool checks_host_;
};

}  // namespace vortex::server
