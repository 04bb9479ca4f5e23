#include "engine/page_budget.h"

#include <fmt/core.h>

#include <algorithm>

namespace vortex {
namespace {

PolicyInput policy_input(const VortexConfig& config, int64_t pages) {
  return {.cached_block_len = static_cast<int>(pages),
          .topk_val = static_cast<int>(config.topk_val),
          .block_reserved_bos = static_cast<int>(config.block_reserved_bos),
          .block_reserved_eos = static_cast<int>(config.block_reserved_eos),
          .topk_ratio = static_cast<float>(config.topk_ratio)};
}

}  // namespace

int64_t default_budget(const VortexConfig& config, int64_t pages) {
  const int64_t fixed = config.topk_val + config.block_reserved_bos + config.block_reserved_eos;
  const auto share = static_cast<int64_t>(static_cast<float>(pages) * static_cast<float>(config.topk_ratio));
  return std::max(fixed, share);
}

Result<PageBudget> PageBudget::create(const VortexConfig& config, std::optional<int> middle_pages) {
  VORTEX_RETURN_IF_ERROR(validate(config, 0));
  if (config.schedule_policy && middle_pages)
    return Error{
        ErrorCode::kConfiguration, "vortex config",
        fmt::format("schedule_policy: the flow itself takes {} pages, a policy would not be asked", *middle_pages),
        "leave the policy out, or end the flow in top_k"};
  PageBudget budget(config, middle_pages);
  if (config.schedule_policy) {
    VORTEX_ASSIGN_OR_RETURN(budget.policy_, SchedulePolicy::compile(*config.schedule_policy, policy_input(config, 0),
                                                                    config.compilation_cache_dir));
  }
  return budget;
}

Result<PageBudget> PageBudget::with(std::optional<int64_t> topk_val, std::optional<double> topk_ratio) const {
  const auto refused = [](std::string message, std::string hint) {
    return Error{ErrorCode::kInvalidArgument, "vortex", std::move(message), std::move(hint)};
  };
  if (middle_pages_ && (topk_val || topk_ratio))
    return refused(fmt::format("the flow itself takes {} pages, a budget would not be asked", *middle_pages_),
                   "leave topk_val and topk_ratio out");
  if (topk_val && config_.max_topk_val && *topk_val > *config_.max_topk_val)
    return refused(fmt::format("topk_val {} is more than the server allows", *topk_val),
                   fmt::format("give at most {}", *config_.max_topk_val));
  PageBudget budget(*this);
  budget.config_.topk_val = topk_val.value_or(config_.topk_val);
  budget.config_.topk_ratio = topk_ratio.value_or(config_.topk_ratio);
  const Status possible = validate(budget.config_, 0);
  if (!possible.ok()) return refused(possible.error().message, possible.error().hint);
  return budget;
}

int64_t PageBudget::wanted(int64_t pages) const {
  const int64_t reserved = config_.block_reserved_bos + config_.block_reserved_eos;
  if (middle_pages_) return *middle_pages_ + reserved;
  const int64_t wanted = policy_ ? (*policy_)(policy_input(config_, pages)) : default_budget(config_, pages);
  return config_.max_topk_val ? std::min(wanted, *config_.max_topk_val + reserved) : wanted;
}

int64_t PageBudget::operator()(int64_t pages) const {
  const int64_t reserved = config_.block_reserved_bos + config_.block_reserved_eos;
  return std::clamp(wanted(pages), std::min(reserved, pages), pages);
}

}  // namespace vortex
