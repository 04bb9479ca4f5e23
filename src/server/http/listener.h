// Accepts clients, within the cap of connections and of file descriptors.
//
// At either, the connection that has waited longest for a request makes room. Where all are being answered, a few
// more are let in that may ask for the public routes only, so that /health answers; descriptors for those are kept
// aside. Beyond that clients are told 503, or wait while the system has no descriptor left: nothing spins.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <vector>

#include "server/http/listen_socket.h"
#include "server/http/server_context.h"

namespace vortex::server {

class Listener {
 public:
  Listener(ServerContext& server, ListenSocket socket);
  ~Listener();

  void start();
  /// Accepts no more; clients in the queue of the system are refused.
  void close();
  const ListenSocket& socket() const { return socket_; }

 private:
  void wait();
  void pause();
  void accept_ready();
  bool find_descriptor(int error_number);
  void admit(const Peer& peer);
  bool make_room(std::chrono::milliseconds after);
  void turn_away(int fd);
  void refill_reserve();

  ServerContext& server_;
  ListenSocket socket_;
  const std::size_t cap_;
  std::vector<UniqueFd> reserve_;
  bool next_is_spare_ = false;  // it has a descriptor of the reserve
  boost::asio::posix::stream_descriptor watched_;
  boost::asio::steady_timer timer_;
};

}  // namespace vortex::server
