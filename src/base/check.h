// VORTEX_CHECK: our own bugs. Prints file, line, condition and context, then aborts; on a thread that asked for it, it
// throws CheckFailure, so that those who wait for the thread hear of its end.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>

namespace vortex::internal {
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& context);
}

namespace vortex {

class CheckFailure : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// While it lives, failed checks of this thread throw instead of ending the process.
class ThrowOnCheckFailure {
 public:
  ThrowOnCheckFailure();
  ~ThrowOnCheckFailure();
  ThrowOnCheckFailure(const ThrowOnCheckFailure&) = delete;
  ThrowOnCheckFailure& operator=(const ThrowOnCheckFailure&) = delete;
};

}  // namespace vortex

/// VORTEX_CHECK(cond) or VORTEX_CHECK(cond, "format {}", args...). Always on.
#define VORTEX_CHECK(cond, ...)                                                                              \
  do {                                                                                                       \
    if (__builtin_expect(!(cond), 0))                                                                        \
      ::vortex::internal::check_failed(__FILE__, __LINE__, #cond, ::vortex::internal::context(__VA_ARGS__)); \
  } while (false)

namespace vortex::internal {
inline std::string context() { return {}; }
template <class... Args>
std::string context(fmt::format_string<Args...> format, Args&&... args) {
  return fmt::format(format, std::forward<Args>(args)...);
}
}  // namespace vortex::internal
