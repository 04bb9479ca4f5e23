// What libvortex_mpi.so offers: the program opens it when it was started by mpirun or Slurm, so that it starts without
// MPI elsewhere.
#pragma once

#include <chrono>
#include <memory>

#include "comm/communicator.h"

namespace vortex::comm {

/// MPI, from its initialisation to its end. A rank that leaves waits a little for the others; where one has failed, MPI
/// is not finalised, which would never end.
class MpiWorld {
 public:
  virtual ~MpiWorld() = default;
  /// Between all ranks, on any hosts, through MPI's own transports.
  virtual Communicator& communicator() = 0;
  virtual int ranks_on_host() const = 0;
  /// The ranks speak in another way from now on: the communicator is not used again and watches nobody.
  virtual void rest() = 0;
};

inline constexpr const char* kMpiEntrySymbol = "vortex_mpi_entry";

struct MpiEntry {
  const char* version;
  /// Once a process. A rank silent for `timeout` has failed.
  Result<std::unique_ptr<MpiWorld>> (*start)(std::chrono::milliseconds timeout);
};

}  // namespace vortex::comm
