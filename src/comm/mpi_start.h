// Ranks that mpirun or Slurm has started.
#pragma once

#include <memory>

#include "comm/launch.h"

namespace vortex::comm {

/// The rank that the environment of mpirun or Slurm gives this process; -1: it was started alone.
int mpi_rank_of_environment();

/// Ranks of one host speak through shared memory, others through MPI; VORTEX_COMM=mpi: through MPI everywhere.
/// kUnsupported where libvortex_mpi.so cannot be opened; kConfiguration where options.size is not MPI's.
Result<std::unique_ptr<Group>> join_by_mpi(const JoinOptions& options);

}  // namespace vortex::comm
