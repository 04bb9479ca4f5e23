#include "base/log_sink.h"

#include <fmt/core.h>
#include <limits.h>
#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <string>
#include <string_view>

namespace vortex::internal {
namespace {

constexpr int kPatienceMs = 20;

bool writable(int patience_ms) {
  pollfd stream{.fd = STDERR_FILENO, .events = POLLOUT};
  return poll(&stream, 1, patience_ms) == 1 && (stream.revents & POLLOUT) != 0;
}

// A pipe that can be written takes PIPE_BUF bytes at once; a socket may take less, unless it is told not to wait.
ssize_t write_without_waiting(std::string_view bytes) {
  const std::string_view piece = bytes.substr(0, PIPE_BUF);
  const ssize_t sent = send(STDERR_FILENO, piece.data(), piece.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  return sent >= 0 || errno != ENOTSOCK ? sent : write(STDERR_FILENO, piece.data(), piece.size());
}

std::string_view colour_of(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::err:
      return "\033[31m\033[1m";
    case spdlog::level::warn:
      return "\033[33m\033[1m";
    case spdlog::level::debug:
      return "\033[36m";
    default:
      return "\033[32m";
  }
}

class StderrSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit StderrSink(bool colour) : colour_(colour) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    if (dropped_ > 0 && writable(0)) report_dropped(message.logger_name);
    if (dropped_ > 0 || !put(line_of(message))) ++dropped_;
  }

  void flush_() override {}

 private:
  std::string line_of(const spdlog::details::log_msg& message) {
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    std::string line(text.data(), text.size());
    if (colour_ && message.color_range_end > message.color_range_start) {
      line.insert(message.color_range_end, "\033[m");
      line.insert(message.color_range_start, colour_of(message.level));
    }
    return line;
  }

  void report_dropped(spdlog::string_view_t logger) {
    const std::string text = fmt::format("{} lines of the log were dropped: nobody read them", dropped_);
    if (put(line_of(spdlog::details::log_msg(logger, spdlog::level::warn, text)))) dropped_ = 0;
  }

  // False when the line, or its end, is lost.
  static bool put(std::string_view line) {
    while (!line.empty()) {
      if (!writable(kPatienceMs)) return false;
      const ssize_t taken = write_without_waiting(line);
      if (taken < 0 && errno != EINTR && errno != EAGAIN) return true;  // a full disk: nobody to tell
      if (taken > 0) line.remove_prefix(static_cast<std::size_t>(taken));
    }
    return true;
  }

  const bool colour_;
  int64_t dropped_ = 0;
};

}  // namespace

std::shared_ptr<spdlog::sinks::sink> make_stderr_sink(bool colour) { return std::make_shared<StderrSink>(colour); }

}  // namespace vortex::internal
