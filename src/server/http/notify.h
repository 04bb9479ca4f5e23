// Tells systemd how the service is (sd_notify): does nothing where NOTIFY_SOCKET is not set.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string_view>

#include "server/http/loop.h"

namespace vortex::server {

/// Sends lines such as "READY=1", "STATUS=Serving", "STOPPING=1" or "WATCHDOG=1" as one datagram, without waiting.
/// True when it was handed over.
bool notify_service_manager(std::string_view lines);

/// How often the manager wants to hear WATCHDOG=1, already halved; nothing where it does not want to.
std::optional<std::chrono::microseconds> watchdog_interval();

/// Says WATCHDOG=1 from the network thread as often as that, while it runs and `healthy` says so; a manager that hears
/// nothing starts the service again. `loop` must outlive what it runs.
void feed_watchdog(NetworkLoop& loop, std::function<bool()> healthy);

}  // namespace vortex::server
