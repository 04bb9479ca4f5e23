// Backend: one compiled plan on one device. The interpreter is the reference; every other backend must choose the same
// pages on the same inputs.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "flow/plan/plan.h"
#include "tensor/paged.h"

namespace vortex {
class WorkerPool;
}

namespace vortex::flow {

class Backend {
 public:
  virtual ~Backend() = default;

  /// Runs forward_cache on each of these full pages (of any head); they are distinct.
  virtual void update(const PageView& view, std::span<const PageId> pages) = 0;

  /// Scores the pages of every sparse row and writes the chosen ones to its middle slots [bos, m - eos) of `list`,
  /// which list_reserved_pages prepared; short rows are untouched. q is [rows, group, head_dim]. Appends to `nan_rows`
  /// the rows with a NaN score among their candidates (their lists are filled all the same).
  virtual void select(const PageView& view, const StepPlan& step, const float* q, PageList* list,
                      std::vector<int>* nan_rows) = 0;

  /// Scores of pages [0, n - eos) of one sparse row, as selection reads them, for tests and explanations.
  virtual std::vector<float> scores(const PageView& view, const StepPlan& step, int row, const float* q) = 0;
};

}  // namespace vortex::flow
