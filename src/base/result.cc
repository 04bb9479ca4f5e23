#include "base/result.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/utf8_size.h"

namespace vortex {
namespace {

/// Control characters and bytes that are no UTF-8 become \xNN: an error is one line of text, whatever a file holds.
void append_escaped(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const auto first = static_cast<unsigned char>(text[0]);
    const size_t size = utf8_size(text);
    if (size == 0 || first < 0x20 || first == 0x7f) {
      out += fmt::format("\\x{:02x}", first);
    } else {
      out += text.substr(0, size);
    }
    text.remove_prefix(std::max<size_t>(size, 1));
  }
}

}  // namespace

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
      return "usage";
    case ErrorCode::kConfiguration:
      return "configuration";
    case ErrorCode::kInvalidArgument:
      return "invalid_argument";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kDataLoss:
      return "data_loss";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kResourceExhausted:
      return "resource_exhausted";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kInternal:
      return "internal";
  }
  return "internal";
}

std::string Error::to_string() const {
  std::string out;
  if (!where.empty()) {
    append_escaped(out, where);
    out += ": ";
  }
  append_escaped(out, message);
  if (!hint.empty()) {
    out += " (";
    append_escaped(out, hint);
    out += ')';
  }
  return out;
}

int exit_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::kUsage:
      return 2;
    case ErrorCode::kConfiguration:
      return 78;
    case ErrorCode::kCancelled:
      return 130;
    default:
      return 1;
  }
}

namespace {
thread_local int throwing_scopes = 0;
}

ThrowOnCheckFailure::ThrowOnCheckFailure() { ++throwing_scopes; }
ThrowOnCheckFailure::~ThrowOnCheckFailure() { --throwing_scopes; }

namespace internal {
void check_failed(const char* file, int line, const char* condition, const std::string& context) {
  const std::string message =
      fmt::format("{}:{}: check failed: {}{}{}", file, line, condition, context.empty() ? "" : ": ", context);
  if (throwing_scopes > 0) throw CheckFailure(message);
  std::fprintf(stderr, "%s\n", message.c_str());
  std::abort();
}
}  // namespace internal
}  // namespace vortex
