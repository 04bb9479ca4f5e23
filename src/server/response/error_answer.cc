#include "server/response/error_answer.h"

#include "server/http/error_body.h"

namespace vortex::server {
namespace {

constexpr std::string_view kRetryAfter = "retry-after";

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

}  // namespace

std::string_view error_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 501:
      return "not_supported_error";
    case 503:
      return "unavailable_error";
    default:
      return status >= 500 ? "server_error" : "invalid_request_error";
  }
}

HttpResponse error_answer(const ApiError& error) {
  HttpResponse response =
      error_response(error.status, error_type(error.status), error.code, error.message, error.param);
  // A repeat would fail again: clients that retry every 5xx must not.
  if (error.status == 500 || error.status == 501) response.headers.emplace_back("x-should-retry", "false");
  return response;
}

HttpResponse error_answer(const ApiError& error, int retry_after_s) {
  HttpResponse response = error_answer(error);
  for (auto& [name, value] : response.headers)
    if (name == kRetryAfter) value = std::to_string(retry_after_s);
  return response;
}

Json error_json(const ApiError& error) {
  return {{"error",
           {{"message", error.message},
            {"type", error_type(error.status)},
            {"param", text_or_null(error.param)},
            {"code", text_or_null(error.code)}}}};
}

ApiError engine_error(const Error& error) {
  ApiError answer = api_error(error);
  if (error.where == "logits") answer.code = "nan_logits";
  if (error.where.starts_with("flow ")) answer.code = "flow_error";
  if (error.where == "engine" && error.code == ErrorCode::kInternal) {
    answer.status = 503;
    answer.code = "engine_dead";
  }
  return answer;
}

}  // namespace vortex::server
