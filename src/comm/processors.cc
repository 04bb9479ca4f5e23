#include "comm/processors.h"

#include <sched.h>

#include <algorithm>

#include "base/cpu_features.h"

namespace vortex::comm {

std::vector<int> allowed_processors() {
  cpu_set_t set;
  std::vector<int> out;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return out;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) out.push_back(cpu);
  return out;
}

std::vector<int> processor_share(const std::vector<int>& allowed, int rank, int ranks) {
  const auto count = std::ssize(allowed);
  if (count < ranks) return {};
  return {allowed.begin() + count * rank / ranks, allowed.begin() + count * (rank + 1) / ranks};
}

namespace {

bool bind(const std::vector<int>& processors) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : processors) CPU_SET(cpu, &set);
  return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

}  // namespace

BoundThread::BoundThread(const std::vector<int>& processors) {
  if (processors.empty()) return;
  before_ = allowed_processors();
  if (!bind(processors)) before_.clear();
}

BoundThread::~BoundThread() {
  if (!before_.empty()) bind(before_);
}

int threads_a_rank(int ranks) { return std::max(1, usable_threads() / ranks); }

}  // namespace vortex::comm
