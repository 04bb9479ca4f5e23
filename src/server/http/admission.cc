#include "server/http/admission.h"

#include <strings.h>

#include "server/http/error_body.h"
#include "server/http/origin.h"

namespace vortex::server {
namespace {

constexpr std::string_view kInvalid = "invalid_request_error";

HttpResponse not_found() {
  return error_response(404, "not_found_error", "not_found", "there is nothing at this path");
}

HttpResponse method_not_allowed(const std::string& methods) {
  HttpResponse response =
      error_response(405, kInvalid, "method_not_allowed", "this path does not take this method; see Allow");
  response.headers.emplace_back("allow", methods);
  return response;
}

HttpResponse key_needed() {
  HttpResponse response = error_response(401, "authentication_error", "invalid_api_key",
                                         "a valid API key is needed: Authorization: Bearer KEY");
  response.headers.emplace_back("www-authenticate", "Bearer");
  return response;
}

bool is_coded(const HttpRequest& request) {
  const std::string_view coding = request.header("content-encoding");
  return !coding.empty() && strncasecmp(coding.data(), "identity", std::max<std::size_t>(coding.size(), 8)) != 0;
}

}  // namespace

// On a loopback address only programs of this machine can connect, and a browser is one that strangers steer: it names
// the stranger's host.
Admission::Admission(const HttpOptions& options, const Router& router, const KeyRing& keys)
    : options_(options),
      router_(router),
      keys_(keys),
      checks_host_(options.uds.empty() && is_loopback_name(options.host)) {}

bool Admission::host_is_ours(const HttpRequest& request) const {
  const std::string_view host = request.header("host");
  return !checks_host_ || host.empty() || is_loopback_name(host_name(host));
}

HeaderList Admission::cors_headers(const HttpRequest& request) const {
  const std::string_view origin = request.header("origin");
  if (origin.empty() || !origin_is_allowed(origin, options_.allowed_origins)) return {};
  return {{"access-control-allow-origin", std::string(origin)},
          {"vary", "origin"},
          {"access-control-expose-headers", "x-request-id, retry-after"}};
}

HttpResponse Admission::preflight(const HttpRequest& request, const std::string& methods) const {
  HttpResponse response{.status = 204, .headers = {{"allow", methods}}};
  if (cors_headers(request).empty()) return response;
  response.headers.emplace_back("access-control-allow-methods", methods);
  response.headers.emplace_back("access-control-allow-headers", "authorization, *");
  response.headers.emplace_back("access-control-max-age", "600");
  return response;
}

std::optional<HttpResponse> Admission::check_key(const Route& route, const HttpRequest& request,
                                                 std::string& tenant) const {
  if (route.access == Access::kAdmin && !keys_.has_admin()) return not_found();
  if (route.access == Access::kPublic || keys_.open()) return std::nullopt;
  KeyRing::Caller caller = keys_.identify(request.header("authorization"));
  if (caller.holder == KeyRing::Holder::kNobody) return key_needed();
  if (route.access == Access::kAdmin && caller.holder != KeyRing::Holder::kAdmin) {
    return error_response(403, "permission_error", "admin_key_needed", "this path needs an admin key");
  }
  tenant = std::move(caller.tenant);
  return std::nullopt;
}

Admission::Verdict Admission::judge(const HttpRequest& request, const std::optional<HttpResponse>& busy) const {
  if (!host_is_ours(request)) {
    return {.refusal = error_response(403, "permission_error", "foreign_host",
                                      "this server listens on the loopback interface and answers to its names only")};
  }
  const std::string methods = router_.allowed_methods(request.path);
  if (methods.empty()) return {.refusal = not_found()};
  Verdict verdict{.route = router_.find(request.method, request.path)};
  if (verdict.route == Router::npos) {
    verdict.refusal = request.method == "OPTIONS" ? preflight(request, methods) : method_not_allowed(methods);
    return verdict;
  }
  const Route& route = router_.routes()[verdict.route];
  verdict.refusal = check_key(route, request, verdict.tenant);
  if (!verdict.refusal && route.access != Access::kPublic) verdict.refusal = busy;
  if (!verdict.refusal && is_coded(request)) {
    verdict.refusal = error_response(415, kInvalid, "unsupported_media_type",
                                     "no Content-Encoding is supported: send the body as it is");
  }
  return verdict;
}

}  // namespace vortex::server
