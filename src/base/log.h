// The log: one line an event, on stderr. Data goes to stdout and never through here.
#pragma once

#include <fmt/core.h>

#include <string_view>
#include <utility>

namespace vortex {

enum class LogLevel { kError, kWarn, kInfo, kDebug };  // least to most talkative
enum class LogFormat {
  kText,  // "23:59:01.250 info message"
  kJson,  // {"ts":"2026-01-31T23:59:01.250Z","level":"info","msg":"...","request_id":"..."}
};

/// Sets the process's log; before the first call it is info, text. Control characters in messages are
/// escaped, so one event is one line. Colours (text only) need a terminal and no NO_COLOR.
void configure_log(LogLevel level, LogFormat format);

bool log_enabled(LogLevel level);

namespace internal {
/// `request_id`: of the request that the event is about; empty when of none.
void write_log(LogLevel level, std::string_view message, std::string_view request_id = {});

template <class... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(level)) write_log(level, fmt::format(format, std::forward<Args>(args)...));
}
}  // namespace internal

template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  internal::log(LogLevel::kError, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_warn(fmt::format_string<Args...> format, Args&&... args) {
  internal::log(LogLevel::kWarn, format, std::forward<Args>(args)...);
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  internal::log(LogLevel::kInfo, format, std::forward<Args>(args)...);
}
/// About one request: its id stands in a field of its own.
template <class... Args>
void log_info_of(std::string_view request_id, fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::kInfo))
    internal::write_log(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...), request_id);
}
template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  internal::log(LogLevel::kDebug, format, std::forward<Args>(args)...);
}

}  // namespace vortex
