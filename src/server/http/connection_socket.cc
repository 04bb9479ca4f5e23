// The half of a connection that watches its socket.
#include <sys/socket.h>

#include <exception>
#include <utility>

#include "base/log.h"
#include "server/http/connection.h"

namespace vortex::server {
namespace {

namespace asio = boost::asio;
using Wait = asio::posix::stream_descriptor::wait_type;

constexpr int kReadsAtATime = 8;
constexpr std::size_t kPipelinedBytes = 32 << 10;  // of requests behind the one that is looked at
constexpr std::size_t kMostDiscarded = 16 << 20;
constexpr std::chrono::milliseconds kLingerTime{2'000};

}  // namespace

void Connection::set_phase(Phase phase, std::chrono::milliseconds limit) {
  phase_ = phase;
  phase_began_ = Clock::now();
  deadline_ = phase_began_ + limit;
}

bool Connection::wants_input() const {
  if (peer_ended_ || phase_ == Phase::kClosing || phase_ == Phase::kClosed) return false;
  const std::size_t room = kPipelinedBytes + static_cast<std::size_t>(server_.options.limits.header_bytes);
  return phase_ == Phase::kLingering || input().size() < room;
}

void Connection::read_ready() {
  for (int reads = 0; reads < kReadsAtATime && wants_input(); ++reads) {
    const IoResult result = transport_->read(server_.scratch);
    switch (result.kind) {
      case IoResult::Kind::kDone:
        if (!take({server_.scratch.data(), result.bytes})) return;
        break;
      case IoResult::Kind::kWantsRead:
        return wait_readable();
      case IoResult::Kind::kWantsWrite:
        read_after_write_ = true;
        return wait_writable();
      case IoResult::Kind::kEnd:
        return peer_ended();
      case IoResult::Kind::kBroken:
        return abort();
    }
    if (!transport_->holds_input()) break;
  }
  if (!wants_input()) return watch_for_leave();
  if (!transport_->holds_input()) return wait_readable();
  server_.loop->post([self = shared_from_this()] { self->guard([&] { self->read_ready(); }); });
}

// False when the connection was closed over it.
bool Connection::take(std::string_view bytes) {
  if (phase_ == Phase::kLingering) {
    discarded_ += bytes.size();
    if (discarded_ > kMostDiscarded) close();
  } else {
    input_.append(bytes);
    advance();
  }
  return phase_ != Phase::kClosed;
}

// Memory may run out anywhere; the client that it happens to is let go, the others stay.
void Connection::guard(const std::function<void()>& action) {
  try {
    action();
  } catch (const std::exception& failure) {
    log_error("a connection was dropped: {}", failure.what());
    abort();
  }
}

void Connection::wait_readable() {
  if (reading_ || phase_ == Phase::kClosed) return;
  reading_ = true;
  socket_.async_wait(Wait::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
    self->reading_ = false;
    if (error) return;
    self->guard([&] {
      if (!self->output_.empty()) self->flush();
      self->read_ready();
    });
  });
}

void Connection::wait_writable() {
  if (writing_ || phase_ == Phase::kClosed) return;
  writing_ = true;
  socket_.async_wait(Wait::wait_write, [self = shared_from_this()](const boost::system::error_code& error) {
    self->writing_ = false;
    if (error) return;
    self->guard([&] {
      self->advance();
      if (std::exchange(self->read_after_write_, false)) self->read_ready();
    });
  });
}

// Its input is not read for now: a reset shows all the same.
void Connection::watch_for_leave() {
  if (watching_ || peer_ended_ || phase_ == Phase::kClosed) return;
  watching_ = true;
  socket_.async_wait(Wait::wait_error, [self = shared_from_this()](const boost::system::error_code& error) {
    self->watching_ = false;
    if (!error) self->abort();
  });
}

void Connection::peer_ended() {
  peer_ended_ = true;
  if (phase_ == Phase::kLingering) return close();
  if (phase_ == Phase::kClosing) return;
  if (exchange_) leave_exchange();
  start_closing();
  flush();
}

void Connection::shut_down() {
  if (phase_ == Phase::kClosing || phase_ == Phase::kLingering) return;
  if (exchange_) leave_exchange();
  if (output_.empty()) return close();
  start_closing();
  flush();
}

void Connection::start_closing() {
  phase_ = Phase::kClosing;
  if (in_busy_list_) server_.pool.set_busy(place_, in_busy_list_ = false);
}

void Connection::start_lingering() {
  if (reset_on_close_) return abort();
  if (peer_ended_) return close();
  transport_->shut_down_writing();
  std::exchange(input_, {});
  consumed_ = 0;
  set_phase(Phase::kLingering, kLingerTime);
  wait_readable();
}

// With a reset: what the system still holds for the client is dropped.
void Connection::abort() {
  if (phase_ == Phase::kClosed) return;
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket_.native_handle(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

void Connection::close() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  if (exchange_) leave_exchange();
  boost::system::error_code ignored;
  socket_.close(ignored);
  server_.stats.connection_closed();
  // Whoever calls may be in the middle of this object.
  server_.loop->post([self = server_.pool.remove(place_, in_busy_list_)] {});
  server_.on_change();
}

}  // namespace vortex::server
