#include "server/http/listen_socket.h"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace vortex::server {
namespace {

constexpr int kQueue = 4096;  // connections that wait for accept()
constexpr int kFlags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

// Enough for any stretch of tokens, little enough that a client that stops reading is noticed.
constexpr int kSendBuffer = 128 << 10;
constexpr int kUnansweredMs = 30'000;
constexpr int kProbeAfterS = 30, kProbeEveryS = 10, kProbes = 3;

Error cannot_listen(const std::string& where, const std::string& why, const std::string& hint) {
  return Error{ErrorCode::kConfiguration, where, "cannot listen: " + why, hint};
}

std::string address_text(const sockaddr_storage& storage, int& port) {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET) {
    const auto& address = reinterpret_cast<const sockaddr_in&>(storage);
    port = ntohs(address.sin_port);
    inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
    return fmt::format("{}:{}", text, port);
  }
  if (storage.ss_family == AF_INET6) {
    const auto& address = reinterpret_cast<const sockaddr_in6&>(storage);
    port = ntohs(address.sin6_port);
    inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, port);
  }
  return "unix";
}

void set(int fd, int level, int option, int value) { setsockopt(fd, level, option, &value, sizeof value); }

// 0, or the errno of what failed.
int bind_and_listen(const UniqueFd& fd, const sockaddr* address, socklen_t size) {
  if (fd.get() < 0 || bind(fd.get(), address, size) != 0 || listen(fd.get(), kQueue) != 0) return errno;
  return 0;
}

bool somebody_answers(const sockaddr_un& address) {
  const UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

Status clear_dead_socket(const std::string& path, const sockaddr_un& address) {
  struct stat found {};
  if (lstat(path.c_str(), &found) != 0) return {};
  if (!S_ISSOCK(found.st_mode)) return cannot_listen(path, "the file is no socket", "give --uds another path");
  if (somebody_answers(address)) return cannot_listen(path, "another server listens there", "give --uds another path");
  unlink(path.c_str());
  return {};
}

}  // namespace

Result<ListenSocket> listen_on_tcp(const std::string& host, int port) {
  const std::string where = fmt::format("{}:{}", host, port);
  addrinfo* list = nullptr;
  const addrinfo hints{.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
  const int status = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &list);
  if (status != 0) return cannot_listen(where, gai_strerror(status), "check --host");
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(list, freeaddrinfo);
  int error = 0;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    ListenSocket listener{.fd = UniqueFd(socket(one->ai_family, kFlags, 0))};
    set(listener.fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    error = bind_and_listen(listener.fd, one->ai_addr, one->ai_addrlen);
    if (error != 0) continue;
    sockaddr_storage bound{};
    socklen_t size = sizeof bound;
    getsockname(listener.fd.get(), reinterpret_cast<sockaddr*>(&bound), &size);
    listener.address = address_text(bound, listener.port);
    return listener;
  }
  return cannot_listen(where, std::strerror(error), error == EADDRINUSE ? "choose another --port" : "check --host");
}

Result<ListenSocket> listen_on_path(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return cannot_listen(path, fmt::format("the path is longer than {} bytes", sizeof address.sun_path - 1),
                         "give --uds a shorter one");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  VORTEX_RETURN_IF_ERROR(clear_dead_socket(path, address));
  ListenSocket listener{.fd = UniqueFd(socket(AF_UNIX, kFlags, 0)), .address = "unix:" + path};
  const mode_t before = umask(0117);
  const int error = bind_and_listen(listener.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  umask(before);
  if (error != 0) return cannot_listen(path, std::strerror(error), "check --uds");
  return listener;
}

Peer accept_peer(const UniqueFd& listener) {
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  Peer peer;
  peer.fd = accept4(listener.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (peer.fd < 0) {
    peer.error_number = errno;
    return peer;
  }
  int port = 0;
  peer.address = address_text(from, port);
  set(peer.fd, SOL_SOCKET, SO_SNDBUF, kSendBuffer);
  if (from.ss_family == AF_UNIX) return peer;
  set(peer.fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set(peer.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, kUnansweredMs);
  set(peer.fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(peer.fd, IPPROTO_TCP, TCP_KEEPIDLE, kProbeAfterS);
  set(peer.fd, IPPROTO_TCP, TCP_KEEPINTVL, kProbeEveryS);
  set(peer.fd, IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  return peer;
}

}  // namespace vortex::server
