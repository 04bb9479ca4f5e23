#include "server/http/request_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vortex::server {
namespace {

using namespace std::string_literals;

// What a parser makes of `bytes`, given in pieces of `step` bytes as a connection gives them.
struct Outcome {
  int status = 0;  // of the fault
  bool complete = false;
  HttpRequest request;
  std::size_t used = 0;
};

Outcome parse(std::string_view bytes, std::size_t step, const HttpLimits& limits = {}) {
  RequestParser parser(limits);
  Outcome outcome;
  bool headers = false;
  for (std::size_t end = 0; end < bytes.size() && !parser.fault();) {
    end = std::min(end + step, bytes.size());
    if (!headers && parser.parse_headers(bytes.substr(0, end))) {
      headers = true;
      outcome.used = parser.header_bytes();
    }
    if (headers && !parser.complete() && outcome.used < end) {
      outcome.used += parser.parse_body(bytes.substr(outcome.used, end - outcome.used));
    }
    if (headers && parser.complete()) break;
  }
  outcome.status = parser.fault() ? parser.fault()->status : 0;
  outcome.complete = headers && !parser.fault() && parser.complete();
  outcome.request = parser.request();
  return outcome;
}

// However the bytes arrive, the outcome is one.
Outcome parse_all_ways(const std::string& bytes, const HttpLimits& limits = {}) {
  const Outcome whole = parse(bytes, bytes.size(), limits);
  for (const std::size_t step : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, std::size_t{64}}) {
    const Outcome pieces = parse(bytes, step, limits);
    EXPECT_EQ(pieces.status, whole.status) << "in pieces of " << step << ": " << bytes.substr(0, 100);
    EXPECT_EQ(pieces.complete, whole.complete) << "in pieces of " << step << ": " << bytes.substr(0, 100);
    EXPECT_EQ(pieces.request.body, whole.request.body);
  }
  return whole;
}

std::string post(const std::string& headers, const std::string& body = {}) {
  return "POST /x HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n" + body;
}

std::string chunked(const std::string& body) { return post("Transfer-Encoding: chunked\r\n", body); }

TEST(RequestParser, ReadsARequestWhole) {
  const std::string next = "GET /next HTTP/1.1\r\n";
  const Outcome outcome = parse_all_ways("POST /v1/x?a=1&b=2 HTTP/1.1\r\nHost: a\r\nX-Odd:  some value \r\n" +
                                         std::string("Content-Length: 5\r\n\r\nhello") + next);
  EXPECT_TRUE(outcome.complete);
  EXPECT_EQ(outcome.request.method, "POST");
  EXPECT_EQ(outcome.request.path, "/v1/x");
  EXPECT_EQ(outcome.request.query, "a=1&b=2");
  EXPECT_EQ(outcome.request.header("x-odd"), "some value");
  EXPECT_EQ(outcome.request.header("x-none"), "");
  EXPECT_EQ(outcome.request.body, "hello");
}

TEST(RequestParser, LeavesWhatFollowsARequest) {
  const std::string first = post("Content-Length: 2\r\n", "ab");
  EXPECT_EQ(parse(first + "GET / HTTP/1.1\r\n", 1000).used, first.size());
  const std::string second = chunked("2\r\nab\r\n0\r\n\r\n");
  EXPECT_EQ(parse(second + "GET / HTTP/1.1\r\n", 1000).used, second.size());
}

TEST(RequestParser, ReadsChunks) {
  EXPECT_EQ(parse_all_ways(chunked("3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\n")).request.body, "abc0123456789");
  const Outcome trailer = parse_all_ways(chunked("1\r\na\r\n0\r\nX-Trailer: t\r\n\r\n"));
  EXPECT_TRUE(trailer.complete);
  EXPECT_EQ(trailer.request.header("x-trailer"), "");
  EXPECT_TRUE(parse_all_ways(chunked("0\r\n\r\n")).complete);
  EXPECT_FALSE(parse_all_ways(chunked("1\r\na\r\n0\r\n")).complete);
}

TEST(RequestParser, AbsoluteTargetNamesTheHost) {
  const Outcome outcome = parse_all_ways("GET http://b.example/x?q HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(outcome.request.path, "/x");
  EXPECT_EQ(outcome.request.query, "q");
  EXPECT_EQ(outcome.request.header("host"), "b.example");
}

TEST(RequestParser, RefusesWhatOthersMightReadAsTwoRequests) {
  for (const std::string& bytes : {
           post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
           post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
           post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
           post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
           post("Content-Length: 5, 5\r\n", "hello"),
           post("Content-Length: -1\r\n"),
           post("Content-Length: +5\r\n", "hello"),
           post("Content-Length: 0x5\r\n", "hello"),
           post("Content-Length: 5 5\r\n", "hello"),
           post("Content-Length:\r\n", "hello"),
           post("Content-Length: 18446744073709551616\r\n"),
           post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
           post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
           post("Transfer-Encoding: identity\r\n", "hello"),
           post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
           post("Content-Length : 5\r\n", "hello"),
           "POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"s,
           post("X: a\r\n folded\r\n"),
           post("X: a\r\n\tfolded\r\n"),
           post(" X: a\r\n"),
           post("X: a\nY: b\r\n"),
           std::string("GET / HTTP/1.1\nHost: a\n\n"),
           std::string("GET / HTTP/1.1\r\nHost: a\r\n\n"),
           post("X: a\rb\r\n"),
           post("X: a\0b\r\n"s),
           post("Host: b\r\n"),
           std::string("GET / HTTP/1.1\r\n\r\n"),
           std::string("GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
           std::string("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET / x HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET relative HTTP/1.1\r\nHost: a\r\n\r\n"),
           std::string("GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n"),
           "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"s,
           "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"s,
       }) {
    const Outcome outcome = parse_all_ways(bytes);
    EXPECT_EQ(outcome.status, 400) << bytes;
    EXPECT_FALSE(outcome.complete) << bytes;
  }
}

TEST(RequestParser, RefusesBadChunks) {
  for (const std::string& body : {
           std::string("-2\r\nab\r\n0\r\n\r\n"),
           std::string("FFFFFFFFFFFFFFFF\r\nab\r\n"),
           std::string("10000000000000000\r\nab\r\n"),
           std::string("0x10\r\n0123456789abcdef\r\n0\r\n\r\n"),
           std::string("2\nab\n0\n\n......"),
           std::string("2\r\nabc\r\n0\r\n\r\n"),
           std::string(" 2\r\nab\r\n0\r\n\r\n"),
           std::string("\r\n2\r\nab\r\n0\r\n\r\n"),
           "10;ext=" + std::string(65536, 'e') + "\r\n0123456789abcdef\r\n0\r\n\r\n",
           "2;ext=" + std::string(1500, 'e') + "\r\nab\r\n0\r\n\r\n",
           "0\r\nX-Trailer: " + std::string(5000, 't') + "\r\n\r\n",
       }) {
    EXPECT_EQ(parse_all_ways(chunked(body)).status, 400) << body.substr(0, 60);
  }
}

TEST(RequestParser, BoundsHeaders) {
  EXPECT_EQ(parse_all_ways(post("X: " + std::string(40'000, 'x') + "\r\n")).status, 431);
  EXPECT_EQ(parse(std::string(40'000, 'G'), 64).status, 431);
  std::string many;
  for (int i = 0; i < 255; ++i) many += "X-" + std::to_string(i) + ": 1\r\n";
  EXPECT_TRUE(parse_all_ways(post(many)).complete);  // and Host
  EXPECT_EQ(parse_all_ways(post(many + "X: 1\r\n")).status, 431);
}

TEST(RequestParser, BoundsBodies) {
  const HttpLimits limits{.body_bytes = 10, .chunk_count = 4};
  EXPECT_TRUE(parse_all_ways(post("Content-Length: 10\r\n", "0123456789"), limits).complete);
  EXPECT_EQ(parse_all_ways(chunked("6\r\nabcdef\r\n5\r\nabcde\r\n0\r\n\r\n"), limits).status, 413);
  EXPECT_EQ(parse_all_ways(chunked("b\r\n"), limits).complete, false);
  EXPECT_EQ(parse_all_ways(chunked("ffffff\r\na"), limits).status, 413);
  EXPECT_EQ(parse_all_ways(chunked("1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n1\r\na\r\n0\r\n\r\n"), limits).status, 413);
}

}  // namespace
}  // namespace vortex::server
