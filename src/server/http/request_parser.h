// One request, from the bytes of a connection: Beast's parser behind stricter rules.
//
// Refused beyond what Beast refuses, as different readings of them let one request hide in another: bare line feeds,
// folded lines, repeated Content-Length or Host, any Transfer-Encoding but "chunked".
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/http/exchange.h"
#include "server/http/http_options.h"

namespace vortex::server {

/// Why a request is not taken: the status of the answer, after which the connection closes.
struct RequestFault {
  int status;
  std::string_view code, message;

  HttpResponse response() const;
};

class RequestParser {
 public:
  explicit RequestParser(const HttpLimits& limits);
  ~RequestParser();

  /// Looks at all bytes received since the start of the request, of which earlier calls saw a prefix. True when the
  /// headers are complete and parsed.
  bool parse_headers(std::string_view bytes);
  /// Bytes that the request line and headers took.
  std::size_t header_bytes() const { return header_bytes_; }

  // Once the headers are parsed:
  bool keep_alive() const;
  bool is_http_1_0() const;
  bool expects_continue() const;
  /// Says what Content-Length says; the body may be longer where it is chunked.
  std::optional<uint64_t> content_length() const;
  /// Takes what it can of `bytes` and returns how many. It wants them again, with more behind them, where it left some.
  std::size_t parse_body(std::string_view bytes);
  bool complete() const;

  static RequestFault body_too_large();
  /// Set by the first thing that is wrong; no parsing after it.
  const std::optional<RequestFault>& fault() const { return fault_; }
  /// As far as it is parsed.
  HttpRequest& request() { return request_; }

 private:
  class Beast;

  bool find_headers_end(std::string_view bytes);
  bool check_line_end(std::string_view bytes, std::size_t line_feed);
  void check_chunk_line(std::string_view line);
  bool fail(RequestFault fault);

  const HttpLimits& limits_;
  HttpRequest request_;
  std::optional<RequestFault> fault_;
  std::size_t scanned_ = 0, header_bytes_ = 0;
  int64_t lines_ = 0;
  std::unique_ptr<Beast> beast_;
};

}  // namespace vortex::server
