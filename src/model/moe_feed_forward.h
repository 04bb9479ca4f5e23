// Mixture of experts (Shazeer et al. 2017): each token goes through the few gated networks that a router chooses for
// it, and through the shared ones, if there are any.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/layers.h"
#include "model/moe_experts.h"
#include "model/moe_router.h"
#include "model/moe_rows.h"

namespace vortex::model {

class MoeFeedForward final : public FeedForward {
 public:
  /// `prefix` is the block's name in the weights ("model.layers.3.mlp.").
  static Result<std::unique_ptr<FeedForward>> load(const LoadContext& context, const std::string& prefix);
  /// Reads the weights of experts that have tokens, and no others. A token adds up its experts in ascending order, so
  /// its result does not depend on its batch.
  void forward(Workspace* workspace, const float* h, int64_t tokens, float* x) override;

 private:
  MoeFeedForward() = default;

  void route(Workspace* workspace, const float* h, int64_t tokens);
  void multiply_inner(const float* h, float* gates, float* ups);
  void multiply_outer(const float* inner, float* outs);

  kernels::DenseOps* dense_ = nullptr;
  kernels::Gating gating_ = kernels::Gating::kSilu;
  int64_t hidden_ = 0, inner_ = 0;
  int per_token_ = 0;
  std::unique_ptr<MoeRouter> router_;
  std::vector<Expert> experts_;
  std::unique_ptr<FeedForward> shared_;  // null: none

  // Of the step at hand
  std::vector<int32_t> chosen_;  // [tokens, per_token]
  std::vector<float> weights_;   // [tokens, per_token]
  ExpertRows rows_;
  std::vector<kernels::Product> products_;
  std::vector<kernels::ProductGroup> groups_;
};

}  // namespace vortex::model
