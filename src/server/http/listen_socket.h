// The socket that a server listens on: TCP on an address, or a path.
#pragma once

#include <string>

#include "base/files.h"
#include "base/result.h"

namespace vortex::server {

struct ListenSocket {
  UniqueFd fd;          // non-blocking, listening
  int port = 0;         // bound; 0 for a path
  std::string address;  // "127.0.0.1:30000", "[::1]:30000" or "unix:/run/x.sock"
};

/// The first address of `host` that can be bound. Errors: kConfiguration, with what is in the way.
Result<ListenSocket> listen_on_tcp(const std::string& host, int port);
/// Replaces the socket of a server that has died; refuses where one lives, or the path is something else. Its owner
/// and group may connect.
Result<ListenSocket> listen_on_path(const std::string& path);

struct Peer {
  int fd = -1;  // connected and non-blocking, the caller's to close; -1 with `error_number` set
  int error_number = 0;
  std::string address;  // "127.0.0.1:51000", "unix"
};
/// Takes one connection off the queue, set up as a server wants it: small answers go out at once, a peer that has
/// vanished is noticed.
Peer accept_peer(const UniqueFd& listener);

}  // namespace vortex::server
