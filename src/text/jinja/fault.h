// Faults of a template or of its inputs. Thrown inside src/text/jinja only; ChatTemplate turns them into Error.
#pragma once

#include <fmt/core.h>

#include <string>
#include <utility>

#include "base/result.h"

namespace vortex::text::jinja {

struct Fault {
  ErrorCode code = ErrorCode::kInvalidArgument;
  std::string message;
  std::string hint;
  int line = 0;  // 1-based; 0: the line that runs
};

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Fault{ErrorCode::kInvalidArgument, fmt::format(format, std::forward<Args>(args)...), {}, 0};
}

template <class... Args>
[[noreturn]] void fail_at(int line, fmt::format_string<Args...> format, Args&&... args) {
  throw Fault{ErrorCode::kInvalidArgument, fmt::format(format, std::forward<Args>(args)...), {}, line};
}

}  // namespace vortex::text::jinja
