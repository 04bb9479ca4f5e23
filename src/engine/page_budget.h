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
  /// The formula, or the config's schedule_policy, compiled; or `middle_pages` beside the reserved ones, of a flow
  /// whose output says itself how many it takes (flow::Plan::middle_pages). Errors: those of validate and of
  /// SchedulePolicy::compile; a policy beside such a flow.
  static Result<PageBudget> create(const VortexConfig& config, std::optional<int> middle_pages = {});

  /// The same with a request's own numbers; absent ones stay. kInvalidArgument naming the number that is impossible,
  /// more than max_topk_val, or without effect because the flow's output says itself how many pages it takes.
  Result<PageBudget> with(std::optional<int64_t> topk_val, std::optional<double> topk_ratio) const;

  /// Pages to read of `pages`, the reserved ones included: in [min(pages, bos + eos), pages], and at most max_topk_val
  /// of them by score.
  int64_t operator()(int64_t pages) const;

 private:
  PageBudget(const VortexConfig& config, std::optional<int> middle_pages)
      : config_(config), middle_pages_(middle_pages) {}
  int64_t wanted(int64_t pages) const;

  VortexConfig config_;
  std::optional<int> middle_pages_;
  std::optional<SchedulePolicy> policy_;
};

}  // namespace vortex
