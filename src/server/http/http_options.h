// What an HttpServer is told: where to listen, who may come in, how much of anything it takes.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace vortex::server {

/// Sizes in bytes. What is over a limit gets the status named, and the connection closes.
struct HttpLimits {
  int64_t header_bytes = 32 << 10;       // request line and headers: 431
  int64_t header_count = 256;            // 431
  int64_t body_bytes = 32 << 20;         // decoded body: 413, at once where Content-Length says so
  int64_t all_bodies_bytes = 512 << 20;  // of all requests that arrive at a time: 503
  int64_t chunk_count = 64 << 10;        // chunks of one body: 413
  int64_t chunk_line_bytes = 1024;       // a chunk's size and extensions, the trailer: 400
  int64_t output_bytes = 1 << 20;        // waiting for a client that reads too slowly: the connection is cut
  int64_t connections = 16384;           // open at a time, or what the file descriptors of the process allow: 503
  std::chrono::milliseconds header_time{10'000};       // first byte (or accept) to the end of the headers: 408
  std::chrono::milliseconds body_time{30'000};         // end of the headers to the end of the body: 408
  std::chrono::milliseconds idle_time{60'000};         // between two requests: closed
  std::chrono::milliseconds write_stall_time{30'000};  // the client takes nothing of what waits: cut
};

/// One finished exchange, for access logs and counters.
struct AccessRecord {
  std::string id;      // x-request-id
  std::string method;  // as sent; cut to 16 characters
  std::string route;   // the path in the table of routes; "" where none matched: never what the client sent
  int status = 0;      // 499: the client left first
  int64_t bytes = 0;   // of the answer's body
  double seconds = 0;  // arrival to the last byte handed to the system
  std::string client;
};

struct HttpOptions {
  std::string host = "127.0.0.1";  // address or name
  int port = 30000;                // 0: any that is free
  std::string uds;                 // path of a Unix socket; taken instead of host and port
  std::string tls_cert, tls_key;   // PEM files; both or neither
  std::vector<std::string> api_keys, admin_keys;
  std::vector<std::string> allowed_origins;  // beside those of this machine; "*" allows all
  HttpLimits limits;
  /// Called on the network thread: must not block.
  std::function<void(const AccessRecord&)> on_finished;
};

}  // namespace vortex::server
