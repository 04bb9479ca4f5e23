// Where log lines go: stderr, and nowhere when its reader has stopped reading.
#pragma once

#include <spdlog/sinks/sink.h>

#include <memory>

namespace vortex::internal {

/// Writes to file descriptor 2. A reader that takes nothing for 20 ms (a full pipe, a stopped terminal) is not waited
/// for again until it reads: lines are dropped, and counted in a line of their own afterwards.
std::shared_ptr<spdlog::sinks::sink> make_stderr_sink(bool colour);

}  // namespace vortex::internal
