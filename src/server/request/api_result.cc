#include "server/request/api_result.h"

namespace vortex::server {
namespace {

struct Answer {
  int status;
  const char* code;
};

Answer answer_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
    case ErrorCode::kConfiguration:
    case ErrorCode::kInvalidArgument:
      return {400, "invalid_value"};
    case ErrorCode::kUnsupported:
      return {400, "unsupported_parameter"};
    case ErrorCode::kResourceExhausted:
      return {400, "context_length_exceeded"};
    case ErrorCode::kNotFound:
      return {404, "not_found"};
    case ErrorCode::kUnavailable:
    case ErrorCode::kCancelled:
      return {503, "overloaded"};
    case ErrorCode::kDataLoss:
    case ErrorCode::kInternal:
      return {500, "internal_error"};
  }
  return {500, "internal_error"};
}

}  // namespace

ApiError api_error(const Error& error) {
  const Answer answer = answer_of(error.code);
  std::string message = error.message;
  if (!error.where.empty()) message = error.where + ": " + message;
  if (!error.hint.empty()) message += " (" + error.hint + ")";
  return {answer.status, answer.code, std::move(message), answer.status == 400 ? error.where : ""};
}

ApiError invalid_value(std::string param, std::string message) {
  return {400, "invalid_value", std::move(message), std::move(param)};
}

ApiError invalid_type(std::string param, std::string message) {
  return {400, "invalid_type", std::move(message), std::move(param)};
}

ApiError unsupported_parameter(std::string param, std::string message) {
  return {400, "unsupported_parameter", std::move(message), std::move(param)};
}

ApiError missing_parameter(std::string param, std::string message) {
  return {400, "missing_required_parameter", std::move(message), std::move(param)};
}

ApiError not_supported(std::string param, std::string message) {
  return {501, "not_supported", std::move(message), std::move(param)};
}

ApiError unavailable(std::string code, std::string message) { return {503, std::move(code), std::move(message), ""}; }

ApiError context_length_exceeded(std::string param, std::string message) {
  return {400, "context_length_exceeded", std::move(message), std::move(param)};
}

}  // namespace vortex::server
