// Ranks of one host: they speak through shared memory.
#pragma once

#include <chrono>
#include <memory>

#include "comm/communicator.h"
#include "comm/segment.h"

namespace vortex::comm {

/// A rank that says nothing for this long has stopped.
inline constexpr std::chrono::milliseconds kDefaultTimeout{3000};

/// `rank` is present from now on, and has left when the communicator is destroyed. Its own thread says that it lives,
/// and notices within `timeout` when another is silent.
std::unique_ptr<Communicator> shared_memory_rank(std::shared_ptr<Segment> segment, int rank,
                                                 std::chrono::milliseconds timeout = kDefaultTimeout);

}  // namespace vortex::comm
