// A connected socket, plain or under TLS: reads and writes what goes without waiting.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "base/files.h"
#include "server/http/tls.h"

namespace vortex::server {

/// What a read or write came to. `bytes` > 0 only with kDone.
struct IoResult {
  enum class Kind {
    kDone,
    kWantsRead,   // nothing goes before the socket can be read
    kWantsWrite,  // ... written
    kEnd,         // the peer sends no more
    kBroken,      // reset, timed out, TLS fault
  };
  Kind kind;
  std::size_t bytes = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual IoResult read(std::span<char> into) = 0;
  virtual IoResult write(std::string_view bytes) = 0;
  /// A read would give bytes though the socket has none to read.
  virtual bool holds_input() const { return false; }
  /// The peer sees an orderly end of what was written; it may go on sending.
  virtual void shut_down_writing() = 0;
};

/// `fd` is a connected, non-blocking stream socket that outlives the transport.
std::unique_ptr<Transport> plain_transport(int fd);
/// As server, with the handshake as part of the first read. Null when memory is out.
std::unique_ptr<Transport> tls_transport(int fd, const TlsContext& context);

}  // namespace vortex::server
