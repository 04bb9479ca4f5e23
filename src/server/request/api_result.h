// ApiResult<T>: a value, or the answer that a request is refused with.
#pragma once

#include <string>
#include <utility>
#include <variant>

#include "base/result.h"

namespace vortex::server {

/// What the client is told. `type` of the body follows from the status.
struct ApiError {
  int status = 400;
  std::string code;  // "invalid_value"; empty: null
  std::string message;
  std::string param;  // the field at fault; empty: null
};

/// Of an error from the engine or below: kInvalidArgument and kUsage are 400, kUnavailable 503, kNotFound 404 and so
/// on. `where` becomes the param of a 400.
ApiError api_error(const Error& error);

ApiError invalid_value(std::string param, std::string message);
/// The value is of another JSON type than the field.
ApiError invalid_type(std::string param, std::string message);
ApiError unsupported_parameter(std::string param, std::string message);
ApiError missing_parameter(std::string param, std::string message);
/// 501: well-formed, but of a kind that this server does not do.
ApiError not_supported(std::string param, std::string message);
/// 503, `code` is "overloaded", "loading", "draining" or "engine_dead".
ApiError unavailable(std::string code, std::string message);
ApiError context_length_exceeded(std::string param, std::string message);

template <class T>
class [[nodiscard]] ApiResult {
 public:
  ApiResult(T value) : state_(std::in_place_index<0>, std::move(value)) {}             // NOLINT: implicit by design
  ApiResult(ApiError error) : state_(std::in_place_index<1>, std::move(error)) {}      // NOLINT
  ApiResult(const Error& error) : state_(std::in_place_index<1>, api_error(error)) {}  // NOLINT

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const ApiError& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, ApiError> state_;
};

/// ApiResult without a value.
class [[nodiscard]] ApiStatus {
 public:
  ApiStatus() = default;
  ApiStatus(ApiError error) : error_(std::move(error)) {}      // NOLINT
  ApiStatus(const Error& error) : error_(api_error(error)) {}  // NOLINT

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const ApiError& error() const { return *error_; }

 private:
  std::optional<ApiError> error_;
};

}  // namespace vortex::server
