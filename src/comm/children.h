// The ranks that rank 0 starts: one process each, watched from one thread, ended with their owner.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace vortex::comm {

struct ChildPlan {
  int rank = 1;
  std::string variable;         // "NAME=value", added to the environment
  std::vector<int> processors;  // that it may run on; empty: as this process
};

/// Called on the watching thread when a child has ended; `wait_status` as waitpid gives it.
using ChildEnded = std::function<void(int rank, int wait_status)>;

class Children {
 public:
  /// Runs this program again with `arguments` (argv[0] first) for each plan. A child reads from /dev/null, writes what
  /// it would print to stderr, holds no other descriptor than `inherited_fd`, ignores SIGINT, SIGTERM and SIGHUP (they
  /// are for rank 0, which tells the others) and is killed when this process ends.
  static Result<std::unique_ptr<Children>> start(const std::vector<std::string>& arguments,
                                                 const std::vector<ChildPlan>& plans, int inherited_fd,
                                                 ChildEnded ended);
  /// Waits `grace` for them to end, kills who has not, and reaps all.
  virtual void stop(std::chrono::milliseconds grace) = 0;
  /// stop(0), where it was not called before.
  virtual ~Children() = default;
};

}  // namespace vortex::comm
