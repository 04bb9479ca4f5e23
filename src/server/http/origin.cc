#include "server/http/origin.h"

#include <arpa/inet.h>
#include <strings.h>

#include <algorithm>

namespace vortex::server {
namespace {

bool is_port(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_127(std::string_view name) {
  in_addr address{};
  return inet_pton(AF_INET, std::string(name).c_str(), &address) == 1 && (ntohl(address.s_addr) >> 24) == 127;
}

}  // namespace

std::string_view host_name(std::string_view host_and_port) {
  const bool bracketed = host_and_port.starts_with('[');
  const std::size_t end = bracketed ? host_and_port.find(']') : host_and_port.find(':');
  if (bracketed && end == std::string_view::npos) return {};
  const std::size_t size = std::min(bracketed ? end + 1 : end, host_and_port.size());
  const std::string_view rest = host_and_port.substr(size);
  if (!rest.empty() && (rest[0] != ':' || !is_port(rest.substr(1)))) return {};
  return host_and_port.substr(0, size);
}

bool is_loopback_name(std::string_view name) {
  if (name.size() == 9 && strncasecmp(name.data(), "localhost", 9) == 0) return true;
  return name == "::1" || name == "[::1]" || is_127(name);
}

bool origin_is_allowed(std::string_view origin, const std::vector<std::string>& allowed) {
  for (const std::string& one : allowed) {
    if (one == "*" || one == origin) return true;
  }
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (origin.starts_with(scheme)) return is_loopback_name(host_name(origin.substr(scheme.size())));
  }
  return false;
}

}  // namespace vortex::server
