// Ranks on several hosts: they speak through MPI, and none waits for one that died.
#pragma once

#include <mpi.h>

#include <chrono>
#include <memory>
#include <mutex>

#include "comm/communicator.h"

namespace vortex::comm {

/// `words` and `pings` are used by nobody else, and return errors instead of ending the process. `calls` is held in
/// every call of MPI. Leaves when it is destroyed, unless rest() was called.
class MpiCommunicator : public Communicator {
 public:
  static std::unique_ptr<MpiCommunicator> join(MPI_Comm words, MPI_Comm pings, std::mutex* calls,
                                               std::chrono::milliseconds timeout);
  /// Not used any more, and watches nobody.
  virtual void rest() = 0;
  /// Whether a rank failed: then MPI must not be called any more.
  virtual bool broken() const = 0;
};

}  // namespace vortex::comm
