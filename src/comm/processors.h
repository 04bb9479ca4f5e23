// Which processors each rank of a host computes on.
#pragma once

#include <vector>

namespace vortex::comm {

/// The processors that this process may run on, lowest first.
std::vector<int> allowed_processors();

/// The share of `rank`: contiguous and near-equal, so neighbours that share a cache stay together. Empty where there
/// are fewer processors than ranks: then nobody is bound.
std::vector<int> processor_share(const std::vector<int>& allowed, int rank, int ranks);

/// The calling thread, and those it makes meanwhile, run on `processors` alone; afterwards where it ran before. Nothing
/// happens where there are none, or where the system refuses: a thread that may run anywhere is slower, not wrong.
class BoundThread {
 public:
  explicit BoundThread(const std::vector<int>& processors);
  ~BoundThread();
  BoundThread(const BoundThread&) = delete;
  BoundThread& operator=(const BoundThread&) = delete;

 private:
  std::vector<int> before_;  // empty: nothing was changed
};

/// How many threads each of `ranks` should compute with; at least 1. A limit of the container counts, which
/// allowed_processors() does not know.
int threads_a_rank(int ranks);

}  // namespace vortex::comm
