// The bytes of an answer.
#pragma once

#include <string>
#include <string_view>

#include "server/http/exchange.h"

namespace vortex::server {

enum class Framing {
  kLength,  // Content-Length
  kChunks,
  kUntilClose,  // a stream to an HTTP/1.0 client
};

struct ResponseFrame {
  std::string_view request_id;
  Framing framing = Framing::kLength;
  bool keep_alive = true;
  bool keep_alive_is_news = false;  // to an HTTP/1.0 client, which expects the connection to close
};

/// Status line and headers, to the empty line. No status, header or id can add a line of its own.
std::string response_head(const HttpResponse& response, const HeaderList& more_headers, const ResponseFrame& frame);

/// `bytes` as one chunk; they are not empty.
std::string chunk(std::string_view bytes);
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

/// The client's own id when it is 1 to 64 of [A-Za-z0-9._-], else a new one that no other request has.
std::string choose_request_id(std::string_view sent);

}  // namespace vortex::server
