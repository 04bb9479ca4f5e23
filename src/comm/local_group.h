// Ranks that are threads of one process: for tests of what ranks compute, and an oracle for the other communicators.
#pragma once

#include <memory>
#include <vector>

#include "comm/communicator.h"

namespace vortex::comm {

/// One communicator a rank, each for one thread. A rank leaves when its communicator is destroyed; what it said before
/// is still heard.
std::vector<std::unique_ptr<Communicator>> local_group(int size);

}  // namespace vortex::comm
