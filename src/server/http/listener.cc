#include "server/http/listener.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <exception>

#include "base/log.h"
#include "server/http/connection.h"
#include "server/http/error_body.h"

namespace vortex::server {
namespace {

constexpr int kAcceptsAtATime = 64;
constexpr std::size_t kSpare = 16;       // connections over the cap, for /health
constexpr std::size_t kOtherFiles = 64;  // descriptors that the rest of the process needs
constexpr std::chrono::milliseconds kPause{100};
constexpr std::chrono::milliseconds kGrace{100};  // to send a request, before one is taken for idle

std::size_t connection_cap(int64_t asked) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  const std::size_t usable = files.rlim_cur > 2 * kOtherFiles ? files.rlim_cur - kOtherFiles : files.rlim_cur / 2;
  return std::min(static_cast<std::size_t>(asked), usable - std::min(usable / 2, kSpare));
}

}  // namespace

Listener::Listener(ServerContext& server, ListenSocket socket)
    : server_(server),
      socket_(std::move(socket)),
      cap_(connection_cap(server.options.limits.connections)),
      watched_(server.loop->io),
      timer_(server.loop->io) {
  watched_.assign(dup(socket_.fd.get()));
  refill_reserve();
}

Listener::~Listener() {
  if (!server_.options.uds.empty()) unlink(server_.options.uds.c_str());
}

void Listener::start() { wait(); }

void Listener::close() {
  boost::system::error_code ignored;
  watched_.close(ignored);
  timer_.cancel();
  socket_.fd = UniqueFd();
}

void Listener::wait() {
  watched_.async_wait(watched_.wait_read, [this](const boost::system::error_code& error) {
    if (!error) accept_ready();
  });
}

void Listener::pause() {
  timer_.expires_after(kPause);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) wait();
  });
}

void Listener::accept_ready() {
  refill_reserve();
  for (int i = 0; i < kAcceptsAtATime; ++i) {
    const Peer peer = accept_peer(socket_.fd);
    if (peer.fd >= 0) {
      admit(peer);
    } else if (peer.error_number == EAGAIN) {
      break;
    } else if (!find_descriptor(peer.error_number)) {
      return pause();
    }
  }
  wait();
}

// False when trying again at once would fail again. The client's faults, which accept() reports too, concern nobody
// else.
bool Listener::find_descriptor(int error_number) {
  if (error_number != EMFILE && error_number != ENFILE) return error_number != ENOBUFS && error_number != ENOMEM;
  if (make_room(kGrace)) return true;
  if (reserve_.empty()) return make_room({});
  reserve_.pop_back();
  next_is_spare_ = true;
  return true;
}

void Listener::refill_reserve() {
  while (reserve_.size() < kSpare) {
    UniqueFd fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (fd.get() < 0) return;
    reserve_.push_back(std::move(fd));
  }
}

bool Listener::make_room(std::chrono::milliseconds after) {
  const auto oldest = server_.pool.longest_waiting();
  if (oldest == nullptr || oldest->waited() < after) return false;
  oldest->evict();
  return true;
}

void Listener::admit(const Peer& peer) {
  const bool full = server_.pool.size() >= cap_ && !make_room({});
  if (full && server_.pool.size() >= cap_ + kSpare) return turn_away(peer.fd);
  const bool spare = std::exchange(next_is_spare_, false) || full;
  std::shared_ptr<Connection> connection;
  try {
    connection = std::make_shared<Connection>(server_, peer.fd, peer.address, spare);
    connection->start();
  } catch (const std::exception& failure) {
    log_error("a connection was dropped: {}", failure.what());
    if (connection == nullptr) ::close(peer.fd);
  }
}

void Listener::turn_away(int fd) {
  server_.stats.connection_refused();
  if (!server_.tls) {
    // A request that is left unread would turn the close into a reset, which can overtake the answer.
    recv(fd, server_.scratch.data(), server_.scratch.size(), MSG_DONTWAIT);
    const HttpResponse answer = error_response(503, "unavailable_error", "overloaded", "too many connections are open");
    const std::string id = choose_request_id({});
    const std::string bytes = response_head(answer, {}, {.request_id = id, .keep_alive = false}) + answer.body;
    send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(fd, SHUT_WR);
  }
  ::close(fd);
}

}  // namespace vortex::server
