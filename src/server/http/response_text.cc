#include "server/http/response_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <boost/beast/http/status.hpp>
#include <ctime>
#include <random>

namespace vortex::server {
namespace {

std::string_view reason(int status) {
  const auto text = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
  return {text.data(), text.size()};
}

std::string http_date(std::time_t now) {
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

// Formatting a date costs more than the rest of a head; it changes once a second.
const std::string& date_now() {
  thread_local std::time_t when = -1;
  thread_local std::string text;
  const std::time_t now = std::time(nullptr);
  if (now != when) {
    when = now;
    text = http_date(now);
  }
  return text;
}

void add_header(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ");
  const auto is_control = [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == 0x7f; };
  std::replace_copy_if(value.begin(), value.end(), std::back_inserter(head), is_control, ' ');
  head += "\r\n";
}

bool has_body(int status) { return status >= 200 && status != 204 && status != 304; }

}  // namespace

std::string response_head(const HttpResponse& response, const HeaderList& more_headers, const ResponseFrame& frame) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
  add_header(head, "date", date_now());
  if (has_body(response.status)) {
    add_header(head, "content-type", response.content_type);
    if (frame.framing == Framing::kLength) add_header(head, "content-length", std::to_string(response.body.size()));
    if (frame.framing == Framing::kChunks) add_header(head, "transfer-encoding", "chunked");
  }
  add_header(head, "x-request-id", frame.request_id);
  add_header(head, "x-content-type-options", "nosniff");
  for (const auto& [name, value] : response.headers) add_header(head, name, value);
  for (const auto& [name, value] : more_headers) add_header(head, name, value);
  if (!frame.keep_alive) add_header(head, "connection", "close");
  if (frame.keep_alive && frame.keep_alive_is_news) add_header(head, "connection", "keep-alive");
  return head += "\r\n";
}

std::string chunk(std::string_view bytes) { return fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes); }

std::string choose_request_id(std::string_view sent) {
  const auto is_safe = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  if (!sent.empty() && sent.size() <= 64 && std::all_of(sent.begin(), sent.end(), is_safe)) return std::string(sent);
  // Unique for the process by the counter, among processes by the random part.
  static const uint64_t process = (uint64_t{std::random_device{}()} << 32) | std::random_device{}();
  static std::atomic<uint64_t> counter{0};
  return fmt::format("req-{:016x}-{:x}", process, ++counter);
}

}  // namespace vortex::server
