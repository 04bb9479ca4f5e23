#include "server/http/request_parser.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <cctype>

#include "server/http/error_body.h"

namespace vortex::server {
namespace {

namespace http = boost::beast::http;
using boost::beast::string_view;
using BeastError = boost::beast::error_code;

constexpr RequestFault kMalformed{400, "malformed_request", "the request is not well-formed HTTP/1.1"};
constexpr RequestFault kBareLineFeed{400, "malformed_request", "a line of the headers does not end with CR LF"};
constexpr RequestFault kFoldedLine{400, "malformed_request", "a header is folded over two lines"};
constexpr RequestFault kAmbiguousLength{400, "malformed_request",
                                        "the length of the body is not given once, by Content-Length or by chunks"};
constexpr RequestFault kBadHost{400, "malformed_request", "one Host header is needed"};
constexpr RequestFault kBadTarget{400, "malformed_request", "the request target is no path"};
constexpr RequestFault kBadChunk{400, "malformed_request", "a chunk of the body has no valid size line"};
constexpr RequestFault kLongHeaders{431, "headers_too_large", "the headers are larger than this server takes"};
constexpr RequestFault kManyHeaders{431, "headers_too_large", "there are more headers than this server takes"};
constexpr RequestFault kLongBody{413, "request_too_large", "the body is larger than this server takes"};
constexpr RequestFault kManyChunks{413, "request_too_large", "the body comes in more chunks than this server takes"};

// Above this a chunk's size is an attack on somebody's arithmetic, not a large body.
constexpr uint64_t kMostChunkBytes = uint64_t{1} << 40;

std::string lower(string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), [](unsigned char c) { return std::tolower(c); });
  return result;
}

bool is_number(string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// "http://host/path" becomes "/path", and the host it names counts.
void strip_authority(std::string& target, std::string& host) {
  const std::size_t scheme = target.starts_with("http://") ? 7 : target.starts_with("https://") ? 8 : 0;
  if (scheme == 0) return;
  const std::size_t path = std::min(target.find_first_of("/?", scheme), target.size());
  host = target.substr(scheme, path - scheme);
  target.erase(0, path);
  if (!target.starts_with('/')) target.insert(0, "/");
}

}  // namespace

HttpResponse RequestFault::response() const { return error_response(status, "invalid_request_error", code, message); }

// Fills the request of its owner. Beast's own limits stay out of the way: the owner has counted before.
class RequestParser::Beast : public http::basic_parser<true> {
 public:
  explicit Beast(RequestParser& owner) : owner_(owner) {
    header_limit(static_cast<uint32_t>(owner.limits_.header_bytes) + 1);
    body_limit(boost::none);
  }

  bool http_1_0 = false;
  bool expects_continue = false;

 private:
  void on_request_impl(http::verb, string_view method, string_view target, int version, BeastError&) override {
    request().method = method;
    request().path = target;
    http_1_0 = version == 10;
  }

  void on_field_impl(http::field field, string_view name, string_view value, BeastError& error) override {
    if (in_body_) return check_trailer(name.size() + value.size(), error);
    lengths_ += field == http::field::content_length || field == http::field::transfer_encoding;
    hosts_ += field == http::field::host;
    if (field == http::field::content_length && !is_number(value)) return stop(kAmbiguousLength, error);
    if (field == http::field::transfer_encoding && lower(value) != "chunked") return stop(kAmbiguousLength, error);
    if (field == http::field::expect) expects_continue = lower(value) == "100-continue";
    request().headers.emplace_back(lower(name), std::string(value));
  }

  void on_header_impl(BeastError& error) override {
    if (lengths_ > 1 || (chunked() && http_1_0)) return stop(kAmbiguousLength, error);
    if (hosts_ > 1 || (hosts_ == 0 && !http_1_0)) return stop(kBadHost, error);
    split_target(error);
  }

  void split_target(BeastError& error) {
    std::string host, &target = request().path;
    strip_authority(target, host);
    for (auto& [name, value] : request().headers) {
      if (name == "host" && !host.empty()) value = host;
    }
    const bool printable = std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (!printable || !target.starts_with('/')) return stop(kBadTarget, error);
    const std::size_t mark = target.find('?');
    if (mark == std::string::npos) return;
    request().query = target.substr(mark + 1);
    target.erase(mark);
  }

  void on_body_init_impl(const boost::optional<uint64_t>&, BeastError&) override { in_body_ = true; }

  std::size_t on_body_impl(string_view bytes, BeastError& error) override {
    std::string& body = request().body;
    if (body.size() + bytes.size() > static_cast<uint64_t>(owner_.limits_.body_bytes)) {
      stop(kLongBody, error);
      return 0;
    }
    body.append(bytes.data(), bytes.size());
    return bytes.size();
  }

  void on_chunk_header_impl(uint64_t size, string_view extensions, BeastError& error) override {
    if (size > kMostChunkBytes || extensions.size() > line_limit()) return stop(kBadChunk, error);
    if (++chunks_ > owner_.limits_.chunk_count) return stop(kManyChunks, error);
    const uint64_t room = static_cast<uint64_t>(owner_.limits_.body_bytes) - request().body.size();
    if (size > room) return stop(kLongBody, error);
  }

  std::size_t on_chunk_body_impl(uint64_t, string_view bytes, BeastError& error) override {
    return on_body_impl(bytes, error);
  }

  void on_response_impl(int, string_view, int, BeastError&) override {}
  void on_finish_impl(BeastError&) override {}

  void check_trailer(std::size_t bytes, BeastError& error) {
    trailer_bytes_ += bytes;
    if (trailer_bytes_ > line_limit()) stop(kBadChunk, error);
  }

  void stop(const RequestFault& fault, BeastError& error) {
    owner_.fail(fault);
    error = http::error::bad_value;
  }

  std::size_t line_limit() const { return static_cast<std::size_t>(owner_.limits_.chunk_line_bytes); }
  HttpRequest& request() { return owner_.request_; }

  RequestParser& owner_;
  int lengths_ = 0, hosts_ = 0;
  bool in_body_ = false;
  int64_t chunks_ = 0;
  std::size_t trailer_bytes_ = 0;
};

RequestParser::RequestParser(const HttpLimits& limits) : limits_(limits), beast_(std::make_unique<Beast>(*this)) {}

RequestParser::~RequestParser() = default;

bool RequestParser::fail(RequestFault fault) {
  if (!fault_) fault_ = fault;
  return false;
}

// Beast reads a line feed without its CR, and a line that begins with a blank, as part of a value: both end here.
bool RequestParser::check_line_end(std::string_view bytes, std::size_t line_feed) {
  if (line_feed == 0 || bytes[line_feed - 1] != '\r') return fail(kBareLineFeed);
  if (++lines_ > limits_.header_count + 1) return fail(kManyHeaders);
  const bool folded = line_feed + 1 < bytes.size() && (bytes[line_feed + 1] == ' ' || bytes[line_feed + 1] == '\t');
  return folded ? fail(kFoldedLine) : true;
}

bool RequestParser::find_headers_end(std::string_view bytes) {
  const std::size_t limit = static_cast<std::size_t>(limits_.header_bytes);
  while (header_bytes_ == 0) {
    const std::size_t line_feed = bytes.find('\n', scanned_);
    if (std::min(line_feed, bytes.size()) >= limit) return fail(kLongHeaders);
    if (line_feed == std::string_view::npos) {
      scanned_ = bytes.size();
      return false;
    }
    // The byte behind a line end tells whether the line is folded.
    const bool ends = line_feed >= 3 && bytes.substr(line_feed - 3, 3) == "\r\n\r";
    if (!ends && line_feed + 1 == bytes.size() && line_feed > 0 && bytes[line_feed - 1] == '\r') {
      scanned_ = line_feed;
      return false;
    }
    if (ends) {
      header_bytes_ = line_feed + 1;
    } else if (!check_line_end(bytes, line_feed)) {
      return false;
    }
    scanned_ = line_feed + 1;
  }
  return true;
}

bool RequestParser::parse_headers(std::string_view bytes) {
  if (!find_headers_end(bytes)) return false;
  BeastError error;
  beast_->put(boost::asio::buffer(bytes.data(), header_bytes_), error);
  if (error) return fail(kMalformed);
  beast_->eager(true);
  return true;
}

// The start of a size line or of the trailer. Beast waits for more of it without end.
void RequestParser::check_chunk_line(std::string_view line) {
  if (line.size() > static_cast<std::size_t>(limits_.chunk_line_bytes)) fail(kBadChunk);
  for (std::size_t at = line.find('\n'); at != std::string_view::npos; at = line.find('\n', at + 1)) {
    if (at == 0 || line[at - 1] != '\r') fail(kBadChunk);
  }
}

std::size_t RequestParser::parse_body(std::string_view bytes) {
  // The shortest end of a chunked body: whatever comes, this much is still missing. Beast asserts that it is there.
  if (beast_->chunked() && bytes.size() < std::string_view("0\r\n\r\n").size()) return 0;
  BeastError error;
  const std::size_t taken = beast_->put(boost::asio::buffer(bytes.data(), bytes.size()), error);
  if (error && error != http::error::need_more) fail(kBadChunk);
  if (!beast_->is_done()) check_chunk_line(bytes.substr(taken));
  return taken;
}

RequestFault RequestParser::body_too_large() { return kLongBody; }

bool RequestParser::keep_alive() const { return beast_->keep_alive(); }
bool RequestParser::is_http_1_0() const { return beast_->http_1_0; }
bool RequestParser::expects_continue() const { return beast_->expects_continue; }
bool RequestParser::complete() const { return beast_->is_done(); }

std::optional<uint64_t> RequestParser::content_length() const {
  const auto length = beast_->content_length();
  return length ? std::optional<uint64_t>(*length) : std::nullopt;
}

}  // namespace vortex::server
