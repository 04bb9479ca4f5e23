// Accepts clients, within the cap of connections and of file descriptors.
//
// At the cap, the connection that has waited longest for a request makes room. Where all are being answered, a few
// more are let in that may ask for the public routes only, so that /health answers; those beyond are told 503. Without
// file descriptors the same is said with one that was kept aside: the queue of the system never fills up with clients
// that nobody looks at, and nothing spins.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

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
  bool accept_failed(int error_number);
  void admit(const Peer& peer);
  bool make_room();
  void turn_away(int fd);
  void turn_away_with_reserve();

  ServerContext& server_;
  ListenSocket socket_;
  const std::size_t cap_;
  UniqueFd reserve_;
  boost::asio::posix::stream_descriptor watched_;
  boost::asio::steady_timer timer_;
};

}  // namespace vortex::server
