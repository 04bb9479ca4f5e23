// Which of the ranks share a host: they share its GPUs.
#pragma once

#include "base/result.h"
#include "comm/communicator.h"

namespace vortex::comm {

struct HostPlace {
  int index = 0;  // of this rank, in the order of ranks
  int ranks = 1;  // on this host
};

/// Every rank calls it.
Result<HostPlace> host_place(Communicator& ranks);

}  // namespace vortex::comm
