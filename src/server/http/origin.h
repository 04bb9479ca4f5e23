// Names of this machine: what a browser may be told to talk to, and who may make it talk.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vortex::server {

/// The name in "name:port", "[::1]:port" or "name"; empty where that is none of them.
std::string_view host_name(std::string_view host_and_port);
/// localhost, 127.0.0.0/8 and ::1, in any case; with or without the brackets.
bool is_loopback_name(std::string_view name);
/// An Origin that may read answers: http or https on a loopback name, or one of `allowed` to the letter ("*": any).
bool origin_is_allowed(std::string_view origin, const std::vector<std::string>& allowed);

}  // namespace vortex::server
