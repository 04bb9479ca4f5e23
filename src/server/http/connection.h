// One client: reads its requests, has them answered in turn, writes the answers as fast as it takes them.
//
// Nothing here waits. The socket is watched for input all the time, so that a client that leaves is noticed while its
// answer is being made. Deadlines are kept by enforce_deadlines(), which the server calls a few times a second.
#pragma once

#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "server/http/connection_pool.h"
#include "server/http/exchange_link.h"
#include "server/http/output_queue.h"
#include "server/http/request_parser.h"
#include "server/http/response_text.h"
#include "server/http/server_context.h"
#include "server/http/transport.h"

namespace vortex::server {

class Connection : public AnswerSink, public std::enable_shared_from_this<Connection> {
 public:
  using Clock = std::chrono::steady_clock;

  /// Takes `fd` over, which is connected and non-blocking. A `spare` one is over the cap of connections: it may ask
  /// for public routes, once.
  Connection(ServerContext& server, int fd, std::string client, bool spare);

  void start();
  void enforce_deadlines(Clock::time_point now);
  /// Since it last had anything to do.
  Clock::duration waited() const { return Clock::now() - phase_began_; }
  /// Makes room for others.
  void evict() { close(); }
  /// The server stops: leaves the exchange that runs, delivers what is complete, closes.
  void shut_down();

  void send(HttpResponse response) override;
  void begin(HttpResponse head) override;
  void write(std::string bytes) override;
  void end() override;
  void cut() override;

 private:
  enum class Phase {
    kIdle,       // between requests
    kHeaders,    // reading them
    kBody,       // reading it
    kAnswering,  // the handler has the request
    kClosing,    // the last bytes go out
    kLingering,  // they are out; a client that still sends is listened to, as a reset could destroy them
    kClosed,
  };

  // An answer that is being made, from the end of its request's headers to the end of the answer.
  struct Exchange {
    std::string id, method;
    std::size_t route = Router::npos;
    Clock::time_point arrived;
    HeaderList cors;
    bool keep_alive = false, http_1_0 = false, head_only = false, begun = false;
    Framing framing = Framing::kLength;
    int status = 0;
    int64_t bytes = 0;
    std::shared_ptr<ExchangeLink> link;  // while a handler has it
  };

  // Input (connection.cc)
  void advance();
  bool step();
  bool start_request();
  bool read_headers();
  bool read_body();
  void judge();
  void dispatch();
  void start_exchange();
  void refuse(HttpResponse response);
  bool body_fits();
  void drop_parser();
  std::string_view input() const { return std::string_view(input_).substr(consumed_); }
  void drop_consumed();

  // Output (connection_output.cc)
  ResponseFrame frame() const;
  void finish_exchange();
  void leave_exchange();
  void record(const Exchange& exchange) const;
  void queue(std::string_view bytes);
  void flush();

  // The socket (connection_socket.cc)
  void read_ready();
  bool take(std::string_view bytes);
  bool wants_input() const;
  void wait_readable();
  void wait_writable();
  void watch_for_leave();
  void peer_ended();
  void start_closing();
  void start_lingering();
  void abort();
  void close();
  void set_phase(Phase phase, std::chrono::milliseconds limit);
  void guard(const std::function<void()>& action);

  ServerContext& server_;
  std::unique_ptr<Transport> transport_;
  const std::string client_;
  boost::asio::posix::stream_descriptor socket_;  // owns the file once all before it is made
  const bool spare_;
  ConnectionPool::Place place_;
  bool in_busy_list_ = false;

  Phase phase_ = Phase::kIdle;
  Clock::time_point phase_began_, deadline_;
  Clock::time_point progress_;  // when the client last took a byte
  bool advancing_ = false, reading_ = false, writing_ = false, watching_ = false;
  bool peer_ended_ = false, reset_on_close_ = false, read_after_write_ = false;

  std::string input_;
  std::size_t consumed_ = 0;   // of input_
  std::size_t discarded_ = 0;  // bytes read while lingering
  Clock::time_point arrived_;  // of the first byte of the request that is read
  std::unique_ptr<RequestParser> parser_;
  int64_t body_counted_ = 0;  // its share of ServerContext::body_bytes
  std::optional<Exchange> exchange_;
  OutputQueue output_;
};

}  // namespace vortex::server
