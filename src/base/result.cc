#include "base/result.h"

#include <cstdio>
#include <cstdlib>

namespace vortex {
namespace {

void append_escaped(std::string& out, std::string_view text) {
  for (unsigned char c : text) {
    if (c < 0x20 || c == 0x7f) {
      out += fmt::format("\\x{:02x}", c);
    } else {
      out += static_cast<char>(c);
    }
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

namespace internal {
void check_failed(const char* file, int line, const char* condition, const std::string& context) {
  std::fprintf(stderr, "%s:%d: check failed: %s%s%s\n", file, line, condition, context.empty() ? "" : ": ",
               context.c_str());
  std::abort();
}
}  // namespace internal
}  // namespace vortex
