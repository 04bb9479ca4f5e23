// PageBudget: how many pages a row of a sequence reads in a decode step (spec/config.md 4).
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "engine/schedule_policy.h"
#include "engine/vortex_config.h"

namespace vortex {

/// The default formula: max(topk_val + bos + eos, trunc(pages * topk_ratio)), the product in float32.
int64_t default_budget(const VortexConfig& config, int64_t pages);

class PageBudget {
 public:
  /// The formula, or the config's schedule_policy, compiled. Errors: those of SchedulePolicy::compile.
  static Result<PageBudget> create(const VortexConfig& config);

  /// Pages to read of `pages`, the reserved ones included: in [min(pages, bos + eos), pages], and at most max_topk_val
  /// of them by score.
  int64_t operator()(int64_t pages) const;

 private:
  explicit PageBudget(const VortexConfig& config) : config_(config) {}
  VortexConfig config_;
  std::optional<SchedulePolicy> policy_;
};

}  // namespace vortex
