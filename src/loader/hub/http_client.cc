#include "loader/hub/http_client.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <optional>

#include "base/files.h"

namespace vortex::hub {

namespace {

constexpr size_t kMaxHeaders = 256;
constexpr size_t kErrorBodyBytes = 4096;

using Clock = std::chrono::steady_clock;

enum class Method { kHead, kGet };
enum class Follow { kSameOrigin, kAnywhere };

/// Takes the body of a successful answer; looks at the headers first when `chunk` is the first.
using BodySink = FunctionRef<Status(const HttpReply& reply, std::string_view chunk)>;

/// One exchange in flight: what libcurl's callbacks fill.
struct Exchange {
  CURL* handle;
  BodySink sink;
  std::chrono::seconds patience;
  HttpReply reply;
  std::optional<Error> failure;
  Clock::time_point last_byte = Clock::now();
  curl_off_t bytes = 0;
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  return text;
}

size_t on_header(char* data, size_t, size_t size, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  const std::string_view line(data, size);
  // An interim answer (100, a proxy's CONNECT) has headers of its own, which are not the reply's.
  if (line.starts_with("HTTP/")) exchange.reply.headers.clear();
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || exchange.reply.headers.size() >= kMaxHeaders) return size;
  exchange.reply.headers[lower(line.substr(0, colon))] = trimmed(line.substr(colon + 1));
  return size;
}

size_t on_body(char* data, size_t, size_t size, void* user) {
  auto& exchange = *static_cast<Exchange*>(user);
  HttpReply& reply = exchange.reply;
  long status = 0;
  curl_easy_getinfo(exchange.handle, CURLINFO_RESPONSE_CODE, &status);
  reply.status = static_cast<int>(status);
  if (!reply.ok()) {
    reply.body.append(data, std::min(size, kErrorBodyBytes - std::min(kErrorBodyBytes, reply.body.size())));
    return size;
  }
  const Status taken = exchange.sink(reply, {data, size});
  if (taken.ok()) return size;
  exchange.failure = taken.error();
  return 0;
}

Error transport_error(const std::string& url, std::string_view reason) {
  return {ErrorCode::kUnavailable, url_host(url), std::string(reason), "check the network and the proxy settings"};
}

/// libcurl calls this about once a second even when nothing arrives. Its own low-speed limit averages over several
/// seconds, so a burst at the start would hide a stall.
int on_tick(void* user, curl_off_t, curl_off_t received, curl_off_t, curl_off_t) {
  auto& exchange = *static_cast<Exchange*>(user);
  const Clock::time_point now = Clock::now();
  if (received != exchange.bytes) exchange.last_byte = now;
  exchange.bytes = received;
  if (now - exchange.last_byte <= exchange.patience) return 0;
  exchange.failure = transport_error(exchange.reply.url, fmt::format("no byte for {} s", exchange.patience.count()));
  return 1;
}

struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

std::string url_part(const std::string& text, CURLUPart part, unsigned flags = 0) {
  std::unique_ptr<CURLU, UrlDeleter> url(curl_url());
  char* value = nullptr;
  if (!url || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK ||
      curl_url_get(url.get(), part, &value, flags) != CURLUE_OK) {
    return {};
  }
  std::string out(value);
  curl_free(value);
  return out;
}

std::string origin(const std::string& url) {
  return fmt::format("{}://{}:{}", url_part(url, CURLUPART_SCHEME), lower(url_part(url, CURLUPART_HOST)),
                     url_part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT));
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/// The first byte that a 206 answer holds, from "bytes first-last/total".
std::optional<int64_t> range_start(const HttpReply& reply) {
  const std::string value = reply.header("content-range");
  constexpr std::string_view kUnit = "bytes ";
  if (!value.starts_with(kUnit)) return std::nullopt;
  int64_t first = 0;
  const auto parsed = std::from_chars(value.data() + kUnit.size(), value.data() + value.size(), first);
  return parsed.ec == std::errc() ? std::optional(first) : std::nullopt;
}

/// Writes the answer behind what the file holds already, and never beyond its expected size.
class FileSink {
 public:
  FileSink(const ResumableFile& file, UniqueFd fd, int64_t present)
      : file_(file), fd_(std::move(fd)), position_(present) {}

  int64_t position() const { return position_; }

  Status take(const HttpReply& reply, std::string_view chunk) {
    if (!started_) VORTEX_RETURN_IF_ERROR(start(reply));
    if (static_cast<int64_t>(chunk.size()) > file_.expected_bytes - position_) {
      return bad(reply, fmt::format("sends more than the {} bytes announced", file_.expected_bytes));
    }
    VORTEX_RETURN_IF_ERROR(write_all(fd_, chunk, file_.path));
    position_ += static_cast<int64_t>(chunk.size());
    return {};
  }

 private:
  static Error bad(const HttpReply& reply, std::string message) {
    return {ErrorCode::kDataLoss, url_host(reply.url), std::move(message), "try again"};
  }

  Status start(const HttpReply& reply) {
    started_ = true;
    if (reply.status == 206) {
      if (range_start(reply) == position_) return {};
      return bad(reply, fmt::format("answers a range from {} with '{}'", position_, reply.header("content-range")));
    }
    if (position_ == 0) return {};
    if (::ftruncate(fd_.get(), 0) != 0) return file_error(file_.path, "cannot truncate", errno);
    position_ = 0;
    return {};
  }

  const ResumableFile& file_;
  UniqueFd fd_;
  int64_t position_;
  bool started_ = false;
};

}  // namespace

struct HttpClient::State {
  HttpOptions options;
  CURL* handle = nullptr;

  ~State() { curl_easy_cleanup(handle); }
  void configure(Exchange& exchange, const HttpRequest& request, Method method, int64_t offset);
  Result<HttpReply> send(const HttpRequest& request, Method method, int64_t offset, BodySink sink);
  Result<HttpReply> follow(HttpRequest request, Method method, Follow policy, int64_t offset, BodySink sink);
};

HttpClient::HttpClient(HttpOptions options) : state_(std::make_unique<State>()) {
  state_->options = std::move(options);
  state_->handle = curl_easy_init();
  VORTEX_CHECK(state_->handle != nullptr, "libcurl does not start");
}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;

void HttpClient::State::configure(Exchange& exchange, const HttpRequest& request, Method method, int64_t offset) {
  curl_easy_reset(handle);
  curl_easy_setopt(handle, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "vortex/" VORTEX_VERSION);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, static_cast<long>(options.connect_timeout_s));
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_tick);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_NOBODY, method == Method::kHead ? 1L : 0L);
  if (offset > 0) curl_easy_setopt(handle, CURLOPT_RANGE, fmt::format("{}-", offset).c_str());
  if (!options.ca_file.empty()) curl_easy_setopt(handle, CURLOPT_CAINFO, options.ca_file.c_str());
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &exchange);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &exchange);
}

Result<HttpReply> HttpClient::State::send(const HttpRequest& request, Method method, int64_t offset, BodySink sink) {
  Exchange exchange{handle, sink, std::chrono::seconds(options.stall_timeout_s), {}, std::nullopt};
  exchange.reply.url = request.url;
  configure(exchange, request, method, offset);
  // Sizes are of the file itself, not of a compressed form of it.
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(
      curl_slist_append(nullptr, "Accept-Encoding: identity"), curl_slist_free_all);
  VORTEX_CHECK(headers != nullptr);
  if (!request.bearer_token.empty()) {
    const std::string line = "Authorization: Bearer " + request.bearer_token;
    VORTEX_CHECK(curl_slist_append(headers.get(), line.c_str()) != nullptr);
  }
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers.get());
  const CURLcode outcome = curl_easy_perform(handle);
  if (exchange.failure) return *exchange.failure;
  if (outcome != CURLE_OK) return transport_error(request.url, curl_easy_strerror(outcome));
  long status = 0;
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  exchange.reply.status = static_cast<int>(status);
  return std::move(exchange.reply);
}

Result<HttpReply> HttpClient::State::follow(HttpRequest request, Method method, Follow policy, int64_t offset,
                                            BodySink sink) {
  for (int hop = 0; hop <= options.max_redirects; ++hop) {
    VORTEX_ASSIGN_OR_RETURN(HttpReply reply, send(request, method, offset, sink));
    char* target = nullptr;
    curl_easy_getinfo(handle, CURLINFO_REDIRECT_URL, &target);
    if (!is_redirect(reply.status) || target == nullptr) return reply;
    const std::string next(target);
    if (origin(next) != origin(request.url)) {
      if (policy == Follow::kSameOrigin) return reply;
      if (request.url.starts_with("https:") && !next.starts_with("https:")) {
        return transport_error(request.url, fmt::format("redirects from https to plain {}", url_host(next)));
      }
      request.bearer_token.clear();
    }
    request.url = next;
  }
  return transport_error(request.url, fmt::format("redirects more than {} times", options.max_redirects));
}

Result<HttpReply> HttpClient::head(const HttpRequest& request) {
  const auto nothing = [](const HttpReply&, std::string_view) { return Status(); };
  return state_->follow(request, Method::kHead, Follow::kSameOrigin, 0, nothing);
}

Result<HttpReply> HttpClient::get(const HttpRequest& request, int64_t max_bytes) {
  std::string body;
  const auto collect = [&](const HttpReply& reply, std::string_view chunk) -> Status {
    if (static_cast<int64_t>(body.size() + chunk.size()) > max_bytes) {
      return Error{ErrorCode::kDataLoss, url_host(reply.url), fmt::format("answers with more than {} bytes", max_bytes),
                   ""};
    }
    body.append(chunk);
    return {};
  };
  VORTEX_ASSIGN_OR_RETURN(HttpReply reply, state_->follow(request, Method::kGet, Follow::kAnywhere, 0, collect));
  if (reply.ok()) reply.body = std::move(body);
  return reply;
}

Result<HttpReply> HttpClient::get_file(const HttpRequest& request, const ResumableFile& file,
                                       FunctionRef<void(int64_t done)> progress) {
  VORTEX_ASSIGN_OR_RETURN(UniqueFd fd, open_file(file.path, O_WRONLY | O_CREAT | O_APPEND));
  int64_t present = file_bytes(file.path);
  // A part as large as the whole can only be checked, and one larger is not of this file.
  if (present > file.expected_bytes && ::ftruncate(fd.get(), 0) != 0) {
    return file_error(file.path, "cannot truncate", errno);
  }
  if (present > file.expected_bytes) present = 0;
  if (present == file.expected_bytes) return HttpReply{200, request.url, {}, {}};
  FileSink sink(file, std::move(fd), present);
  const auto take = [&](const HttpReply& reply, std::string_view chunk) -> Status {
    VORTEX_RETURN_IF_ERROR(sink.take(reply, chunk));
    progress(sink.position());
    return {};
  };
  VORTEX_ASSIGN_OR_RETURN(HttpReply reply, state_->follow(request, Method::kGet, Follow::kAnywhere, present, take));
  if (reply.ok() && sink.position() != file.expected_bytes) {
    return transport_error(reply.url, fmt::format("ends after {} of {} bytes", sink.position(), file.expected_bytes));
  }
  return reply;
}

std::string HttpReply::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

std::string url_host(const std::string& url) {
  const std::string host = url_part(url, CURLUPART_HOST);
  const std::string port = url_part(url, CURLUPART_PORT);
  if (host.empty()) return "?";
  return port.empty() ? host : host + ":" + port;
}

std::string url_encode(std::string_view text, bool keep_slashes) {
  std::string out;
  for (unsigned char c : text) {
    const bool unreserved = std::isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
    if (unreserved || (c == '/' && keep_slashes)) {
      out += static_cast<char>(c);
    } else {
      out += fmt::format("%{:02X}", c);
    }
  }
  return out;
}

}  // namespace vortex::hub
