// How a process becomes a rank: by its own parent, by mpirun or Slurm, or as rank 0 that starts the others.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "comm/communicator.h"
#include "comm/shared_memory.h"

namespace vortex::comm {

struct JoinOptions {
  int size = 0;                        // ranks wanted, at most kMaxRanks; 0: as many as MPI has started, else 1
  std::vector<std::string> arguments;  // of this process, argv[0] first: every rank runs the same command line
  std::chrono::milliseconds timeout = kDefaultTimeout;  // a rank silent for so long has failed
  std::chrono::milliseconds start_timeout{30'000};      // until every rank has joined; loading comes after
};

inline constexpr std::string_view kSharedMemory = "shared memory";

/// The ranks, seen from one of them. When it is destroyed this rank leaves; the leader's also ends the processes that
/// it started: they have 2 s to notice (0.5 s after a failure), then they are killed. None is left.
class Group {
 public:
  virtual ~Group() = default;
  virtual Communicator& communicator() = 0;
  /// How many threads this rank should compute with. Ranks that rank 0 starts are bound to a share of the processors;
  /// of rank 0 the threads that compute should be, the others may run anywhere.
  virtual int threads() const = 0;
  /// Where the threads that compute should run (comm/processors.h, BoundThread); empty: where they may already.
  virtual std::vector<int> processors() const { return {}; }
  /// How the ranks speak: kSharedMemory, "MPI", or "none" where there is one.
  virtual std::string_view transport() const = 0;
};

/// Call it once, early, before other threads and files: the other ranks start this program again. kConfiguration where
/// the size wanted is impossible or not that of mpirun; kUnavailable, with the rank as `where`, where one did not come.
Result<std::unique_ptr<Group>> join(const JoinOptions& options);

/// What join() will make of this process; 0 in a process that nobody started as a rank. For who must know before
/// join() whether to print. Cheap; only valid before join().
int rank_of_environment();

}  // namespace vortex::comm
