#include "server/http/transport.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <cerrno>

namespace vortex::server {
namespace {

using Kind = IoResult::Kind;

class PlainTransport : public Transport {
 public:
  explicit PlainTransport(int fd) : fd_(fd) {}

  IoResult read(std::span<char> into) override {
    const ssize_t got = recv(fd_, into.data(), into.size(), 0);
    if (got > 0) return {Kind::kDone, static_cast<std::size_t>(got)};
    return got == 0 ? IoResult{Kind::kEnd} : failed(Kind::kWantsRead);
  }

  IoResult write(std::string_view bytes) override {
    const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return sent >= 0 ? IoResult{Kind::kDone, static_cast<std::size_t>(sent)} : failed(Kind::kWantsWrite);
  }

  void shut_down_writing() override { shutdown(fd_, SHUT_WR); }

 private:
  static IoResult failed(Kind wants) {
    const bool again = errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    return {again ? wants : Kind::kBroken};
  }

  int fd_;
};

class TlsTransport : public Transport {
 public:
  using Session = std::unique_ptr<SSL, decltype(&SSL_free)>;

  explicit TlsTransport(Session ssl) : ssl_(std::move(ssl)) { SSL_set_accept_state(ssl_.get()); }

  bool holds_input() const override { return SSL_pending(ssl_.get()) > 0; }

  IoResult read(std::span<char> into) override {
    std::size_t got = 0;
    const int status = SSL_read_ex(ssl_.get(), into.data(), into.size(), &got);
    return result(status, got);
  }

  IoResult write(std::string_view bytes) override {
    std::size_t sent = 0;
    const int status = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent);
    return result(status, sent);
  }

  void shut_down_writing() override {
    if (!broken_ && SSL_is_init_finished(ssl_.get())) SSL_shutdown(ssl_.get());
    ERR_clear_error();
    shutdown(SSL_get_fd(ssl_.get()), SHUT_WR);
  }

 private:
  IoResult result(int status, std::size_t bytes) {
    if (status == 1) return {Kind::kDone, bytes};
    const int error = SSL_get_error(ssl_.get(), status);
    ERR_clear_error();  // the queue is the thread's: the next connection must not read this one's faults
    if (error == SSL_ERROR_WANT_READ) return {Kind::kWantsRead};
    if (error == SSL_ERROR_WANT_WRITE) return {Kind::kWantsWrite};
    if (error == SSL_ERROR_ZERO_RETURN) return {Kind::kEnd};
    broken_ = true;
    return {Kind::kBroken};
  }

  Session ssl_;
  bool broken_ = false;
};

}  // namespace

std::unique_ptr<Transport> plain_transport(int fd) { return std::make_unique<PlainTransport>(fd); }

std::unique_ptr<Transport> tls_transport(int fd, const TlsContext& context) {
  TlsTransport::Session session(SSL_new(context.get()), SSL_free);
  if (session == nullptr || SSL_set_fd(session.get(), fd) != 1) return nullptr;
  return std::make_unique<TlsTransport>(std::move(session));
}

}  // namespace vortex::server
