// A blocking client that sends exactly the bytes it is told, and never waits longer than some seconds.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "base/files.h"

namespace vortex::server {

class LoopbackClient {
 public:
  explicit LoopbackClient(int port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval limit{.tv_sec = 20};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    connected_ = connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }

  bool connected() const { return connected_; }
  void send(std::string_view bytes) { (void)!::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  void finish_sending() { shutdown(fd_.get(), SHUT_WR); }

  /// Up to and with `mark`; less where the server closes or is silent for 20 s.
  std::string read_until(std::string_view mark) {
    while (buffer_.find(mark) == std::string::npos && receive()) {
    }
    const std::size_t at = buffer_.find(mark);
    return take(at == std::string::npos ? buffer_.size() : at + mark.size());
  }

  /// A head and the body that its Content-Length announces.
  std::string read_answer() {
    std::string answer = read_until("\r\n\r\n");
    const std::size_t at = answer.find("content-length: ");
    if (at == std::string::npos) return answer;
    const std::size_t size = std::strtoul(answer.c_str() + at + 16, nullptr, 10);
    while (buffer_.size() < size && receive()) {
    }
    return answer + take(size);
  }

  std::string read_to_end() {
    while (receive()) {
    }
    return take(buffer_.size());
  }

 private:
  bool receive() {
    char bytes[65536];
    const ssize_t got = recv(fd_.get(), bytes, sizeof bytes, 0);
    if (got > 0) buffer_.append(bytes, static_cast<std::size_t>(got));
    return got > 0;
  }

  std::string take(std::size_t size) {
    std::string taken = buffer_.substr(0, size);
    buffer_.erase(0, taken.size());
    return taken;
  }

  UniqueFd fd_;
  bool connected_ = false;
  std::string buffer_;
};

}  // namespace vortex::server
