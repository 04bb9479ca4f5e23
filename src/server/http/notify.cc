#include "server/http/notify.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/files.h"

namespace vortex::server {
namespace {

std::optional<int64_t> number_in_environment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), number);
  if (error != std::errc() || *end != '\0' || number <= 0) return std::nullopt;
  return number;
}

}  // namespace

bool notify_service_manager(std::string_view lines) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::size_t size = path == nullptr ? 0 : std::strlen(path);
  if (size < 2 || size >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) return false;
  std::memcpy(address.sun_path, path, size);
  if (path[0] == '@') address.sun_path[0] = '\0';  // an abstract name
  const UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + size);
  return sendto(fd.get(), lines.data(), lines.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address),
                length) == static_cast<ssize_t>(lines.size());
}

std::optional<std::chrono::microseconds> watchdog_interval() {
  const auto microseconds = number_in_environment("WATCHDOG_USEC");
  const auto pid = number_in_environment("WATCHDOG_PID");
  if (!microseconds || (pid && *pid != getpid())) return std::nullopt;
  return std::chrono::microseconds(*microseconds / 2);
}

void feed_watchdog(NetworkLoop& loop, std::function<bool()> healthy) {
  const auto interval = watchdog_interval();
  if (!interval) return;
  if (healthy()) notify_service_manager("WATCHDOG=1");
  loop.after(std::chrono::duration_cast<std::chrono::milliseconds>(*interval),
             [&loop, healthy = std::move(healthy)]() mutable { feed_watchdog(loop, std::move(healthy)); });
}

}  // namespace vortex::server
