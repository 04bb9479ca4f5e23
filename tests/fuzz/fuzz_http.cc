// The bytes of a connection: requests, one after the other, whole and in pieces of a size that the input chooses.
#include <algorithm>

#include "base/check.h"
#include "fuzz/fuzz_target.h"
#include "server/http/request_parser.h"

namespace vortex::fuzz {
namespace {

constexpr std::size_t kMostRequests = 8;

struct Reader {
  std::string outcome;
  std::size_t used = 0;
};

// What a connection does, without its socket: requests until a fault or the end of the bytes.
Reader read_all(std::string_view bytes, std::size_t step) {
  const server::HttpLimits limits{
      .header_bytes = 512, .header_count = 8, .body_bytes = 256, .chunk_count = 8, .chunk_line_bytes = 64};
  Reader reader;
  for (std::size_t requests = 0; requests < kMostRequests && reader.used < bytes.size(); ++requests) {
    server::RequestParser parser(limits);
    const std::string_view rest = bytes.substr(reader.used);
    std::size_t seen = 0, used = 0;
    while (seen < rest.size() && !parser.fault() && (used == 0 || !parser.complete())) {
      seen = std::min(seen + step, rest.size());
      if (used == 0 && parser.parse_headers(rest.substr(0, seen))) used = parser.header_bytes();
      if (used > 0 && !parser.complete() && seen > used) used += parser.parse_body(rest.substr(used, seen - used));
    }
    const server::HttpRequest& request = parser.request();
    VORTEX_CHECK(request.body.size() <= 256 && request.headers.size() <= 8, "a limit was passed");
    if (parser.fault()) {
      reader.outcome += std::to_string(parser.fault()->status);
      return reader;
    }
    if (used == 0 || !parser.complete()) return reader;
    VORTEX_CHECK(request.path.starts_with('/'), "no path");
    touch(std::as_bytes(std::span(request.body)));
    reader.outcome += request.method.substr(0, 4) + (parser.keep_alive() ? "+" : "-") +
                      (parser.content_length() ? "l"
                       : request.body.empty()  ? ""
                                               : "c");
    reader.used += used;
  }
  return reader;
}

// Without the fault at its end.
std::string_view requests_of(std::string_view outcome) {
  return outcome.substr(0, outcome.find_last_not_of("0123456789") + 1);
}

}  // namespace

std::string run_target(std::span<const std::byte> input) {
  if (input.empty()) return "empty";
  const std::string_view bytes(reinterpret_cast<const char*>(input.data()) + 1, input.size() - 1);
  const Reader whole = read_all(bytes, bytes.size() + 1);
  const Reader pieces = read_all(bytes, 1 + static_cast<std::size_t>(input[0]) % 16);
  // A fault may be seen later, or with less behind it; what was taken for a request must not depend on the pieces.
  const std::string_view one = requests_of(whole.outcome), other = requests_of(pieces.outcome);
  VORTEX_CHECK(one.starts_with(other) || other.starts_with(one), "whole '{}', in pieces '{}'", one, other);
  VORTEX_CHECK(one != other || whole.used == pieces.used, "{} bytes whole, {} in pieces", whole.used, pieces.used);
  return whole.outcome;
}

std::vector<std::string> seeds() {
  return {
      "\x02GET /health?a=b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
      "\x01POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhelloGET / HTTP/1.0\r\n\r\n",
      "\x03POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nX-T: t\r\n\r\n",
      "\x07GET http://b/x HTTP/1.1\r\nHost: a\r\nX-Request-Id: 1\r\n\r\n"};
}

}  // namespace vortex::fuzz
