#include "server/http/error_body.h"

#include <nlohmann/json.hpp>
#include <string>

namespace vortex::server {
namespace {

using Json = nlohmann::ordered_json;

Json text_or_null(std::string_view text) { return text.empty() ? Json() : Json(text); }

}  // namespace

HttpResponse error_response(int status, std::string_view type, std::string_view code, std::string_view message,
                            std::string_view param) {
  const Json error = {
      {"message", message}, {"type", type}, {"param", text_or_null(param)}, {"code", text_or_null(code)}};
  HttpResponse response{.status = status};
  response.body = Json{{"error", error}}.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (status == 429 || status == 503) response.headers.emplace_back("retry-after", "1");
  return response;
}

HttpResponse internal_error_response() {
  HttpResponse response =
      error_response(500, "server_error", "internal_error", "the server failed on this request; its log says more");
  // The same request would fail again: clients that retry every 500 must not.
  response.headers.emplace_back("x-should-retry", "false");
  return response;
}

}  // namespace vortex::server
