// Tells systemd how the service is (sd_notify): does nothing where NOTIFY_SOCKET is not set.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace vortex::server {

/// Sends lines such as "READY=1", "STATUS=Serving", "STOPPING=1" or "WATCHDOG=1" as one datagram, without waiting.
/// True when it was handed over.
bool notify_service_manager(std::string_view lines);

/// How often the manager wants to hear WATCHDOG=1, already halved; nothing where it does not want to.
std::optional<std::chrono::microseconds> watchdog_interval();

}  // namespace vortex::server
