// AttentionMass: how much of dense attention falls on each page. Plain loops on the engine's threads: a measuring
// instrument, not a kernel.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/worker_pool.h"
#include "model/layers.h"

namespace vortex {

class AttentionMass {
 public:
  /// `pool` must outlive it.
  explicit AttentionMass(WorkerPool* pool);

  /// For row `row` of a decode step, by page of its sequence: the sum of softmax(scale * q . k) over the page's tokens,
  /// mean over the row's query heads. Sums to 1. Valid until the next call.
  std::span<const double> of_row(const model::Selection& selection, int row);

 private:
  struct PageSum {
    float peak;  // largest logit
    float sum;   // of exp(logit - peak)
  };
  void sum_pages(const model::Selection& selection, int row, int64_t begin, int64_t end, std::vector<float>* keys);

  WorkerPool* pool_;
  std::vector<PageSum> sums_;             // [pages, group]
  std::vector<double> mass_;              // [pages]
  std::vector<std::vector<float>> keys_;  // by thread: one page, decoded
};

}  // namespace vortex
