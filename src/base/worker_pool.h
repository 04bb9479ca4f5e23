// WorkerPool: fork-join for kernels. One caller at a time (the engine thread); a join costs a few
// microseconds because workers spin briefly before they sleep.
#pragma once

#include <cstdint>
#include <memory>

#include "base/function_ref.h"

namespace vortex {

class WorkerPool {
 public:
  /// `threads` in [1, 1024] counts the caller: WorkerPool(1) starts no thread.
  explicit WorkerPool(int threads);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  int size() const;

  /// Runs body(thread) for each thread number in [0, size()), each once, and returns when all are done. Numbers run at
  /// the same time where cores are free; one operating-system thread may run several. Not re-entrant.
  void run(FunctionRef<void(int thread)> body);

  /// Splits [0, n) into near-equal contiguous ranges whose inner borders are multiples of `align`,
  /// one a thread: body(begin, end, thread). Empty ranges are skipped. Same split for the same arguments.
  void parallel_ranges(int64_t n, int64_t align, FunctionRef<void(int64_t begin, int64_t end, int thread)> body);

  /// Hands out [0, n) one item at a time, in order, to whichever thread is free: for uneven items.
  void parallel_items(int64_t n, FunctionRef<void(int64_t item, int thread)> body);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vortex
