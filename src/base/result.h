// Result<T>: a value or an Error the user can act on. The user's faults travel as Error; our own bugs
// abort through VORTEX_CHECK (check.h). No function that returns Result throws.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace vortex {

enum class ErrorCode {
  kUsage,              // wrong command line: exit status 2
  kConfiguration,      // impossible or unknown setting: exit status 78
  kInvalidArgument,    // a request that can never work
  kNotFound,           // file, model, flow or name that does not exist
  kDataLoss,           // truncated, corrupt or lying file
  kUnsupported,        // well-formed, but not something this build can do
  kResourceExhausted,  // memory, pages, context length
  kUnavailable,        // network or device trouble; may work later
  kCancelled,
  kInternal,
};

/// Lower-case words for logs and JSON ("data_loss").
std::string_view error_code_name(ErrorCode code);

/// One line for the user: what went wrong (`message`), where (`where`: file:line:column, key, tensor or
/// request) and what to do (`hint`). `where` and `hint` may be empty.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string where;
  std::string message;
  std::string hint;

  /// "where: message (hint)" on one line; control characters are escaped.
  std::string to_string() const;
};

/// Process exit status for an error: 2 usage, 78 configuration, 130 cancelled, else 1.
int exit_status(ErrorCode code);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T v) : state_(std::in_place_index<0>, std::move(v)) {}              // NOLINT: implicit by design
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    VORTEX_CHECK(ok(), "value() of an error: {}", error().to_string());
    return std::get<0>(state_);
  }
  const T& value() const& {
    VORTEX_CHECK(ok(), "value() of an error: {}", error().to_string());
    return std::get<0>(state_);
  }
  T&& value() && {
    VORTEX_CHECK(ok(), "value() of an error: {}", error().to_string());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

/// Result without a value.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}  // NOLINT

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

#define VORTEX_CONCAT_INNER(a, b) a##b
#define VORTEX_CONCAT(a, b) VORTEX_CONCAT_INNER(a, b)

/// Returns the error of `expr` (Status or Result) from the enclosing function.
#define VORTEX_RETURN_IF_ERROR(expr)                       \
  do {                                                     \
    auto vortex_status = (expr);                           \
    if (!vortex_status.ok()) return vortex_status.error(); \
  } while (false)

/// `VORTEX_ASSIGN_OR_RETURN(auto x, f());` declares x, or returns the error of f().
#define VORTEX_ASSIGN_OR_RETURN(lhs, expr) \
  VORTEX_ASSIGN_OR_RETURN_INNER(VORTEX_CONCAT(vortex_result_, __LINE__), lhs, expr)
#define VORTEX_ASSIGN_OR_RETURN_INNER(tmp, lhs, expr) \
  auto tmp = (expr);                                  \
  if (!tmp.ok()) return tmp.error();                  \
  lhs = std::move(tmp).value()

}  // namespace vortex
