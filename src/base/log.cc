#include "base/log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>

#include <algorithm>
#include <memory>

#include "base/log_sink.h"
#include "base/terminal.h"
#include "base/utf8_size.h"

namespace vortex {
namespace {

// Of the event that this thread writes.
thread_local std::string_view current_request_id;

// The message with control characters and broken UTF-8 escaped: a forged line break must not forge a log line.
class EscapedMessage : public spdlog::custom_flag_formatter {
 public:
  explicit EscapedMessage(bool json) : json_(json) {}

  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    append_text(std::string_view(message.payload.data(), message.payload.size()), out);
    if (current_request_id.empty()) return close(out);
    append_literal(json_ ? R"(","request_id":")" : " request=", out);
    append_text(current_request_id, out);
    close(out);
  }

  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<EscapedMessage>(json_); }

 private:
  static void append_literal(std::string_view text, spdlog::memory_buf_t& out) {
    out.append(text.data(), text.data() + text.size());
  }

  void close(spdlog::memory_buf_t& out) const {
    if (json_) out.push_back('"');
  }

  void append_text(std::string_view rest, spdlog::memory_buf_t& out) const {
    while (!rest.empty()) {
      const std::size_t size = utf8_size(rest);
      if (size > 1) {
        out.append(rest.data(), rest.data() + size);
      } else {
        append(static_cast<unsigned char>(rest[0]), size == 0, out);
      }
      rest.remove_prefix(std::max<std::size_t>(size, 1));
    }
  }

  void append(unsigned char c, bool broken, spdlog::memory_buf_t& out) const {
    const auto sink = fmt::appender(out);
    if (json_ && (c == '"' || c == '\\')) {
      fmt::format_to(sink, "\\{}", static_cast<char>(c));
    } else if (broken || c < 0x20 || c == 0x7f) {
      json_ ? fmt::format_to(sink, "\\u{:04x}", c) : fmt::format_to(sink, "\\x{:02x}", c);
    } else {
      out.push_back(static_cast<char>(c));
    }
  }

  bool json_;
};

std::unique_ptr<spdlog::formatter> make_formatter(LogFormat format) {
  const bool json = format == LogFormat::kJson;
  auto formatter = std::make_unique<spdlog::pattern_formatter>(json ? spdlog::pattern_time_type::utc
                                                                    : spdlog::pattern_time_type::local);
  formatter->add_flag<EscapedMessage>('*', json);
  formatter->set_pattern(json ? R"({"ts":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l","msg":"%*})" : "%H:%M:%S.%e %^%l%$ %*");
  return formatter;
}

spdlog::logger make_logger() {
  spdlog::logger logger("vortex", internal::make_stderr_sink(wants_colour(stderr)));
  logger.set_formatter(make_formatter(LogFormat::kText));
  logger.set_level(spdlog::level::info);
  return logger;
}

// The log belongs to the process, as stderr does.
spdlog::logger& logger() {
  static spdlog::logger instance = make_logger();
  return instance;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kDebug:
      return spdlog::level::debug;
  }
  return spdlog::level::info;
}

}  // namespace

void configure_log(LogLevel level, LogFormat format) {
  logger().set_formatter(make_formatter(format));
  logger().set_level(spdlog_level(level));
}

bool log_enabled(LogLevel level) { return logger().should_log(spdlog_level(level)); }

namespace internal {
void write_log(LogLevel level, std::string_view message, std::string_view request_id) {
  current_request_id = request_id;
  logger().log(spdlog_level(level), spdlog::string_view_t(message.data(), message.size()));
}
}  // namespace internal
}  // namespace vortex
