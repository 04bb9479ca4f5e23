#include "model/moe_feed_forward.h"

#include "model/gated_mlp.h"

namespace vortex::model {

Result<std::unique_ptr<FeedForward>> MoeFeedForward::load(const LoadContext& context, const std::string& prefix) {
  const ModelConfig& config = *context.config;
  std::unique_ptr<MoeFeedForward> block(new MoeFeedForward);
  block->dense_ = context.backend.dense;
  block->gating_ = gating_of(config.activation);
  block->hidden_ = config.hidden_size;
  block->inner_ = config.moe.intermediate_size;
  block->per_token_ = config.moe.experts_per_token;
  VORTEX_ASSIGN_OR_RETURN(block->router_, MoeRouter::load(context, prefix));
  VORTEX_ASSIGN_OR_RETURN(block->experts_, load_experts(context, prefix));
  if (config.moe.shared_experts > 0) {
    const int64_t width = int64_t{config.moe.shared_experts} * config.moe.intermediate_size;
    VORTEX_ASSIGN_OR_RETURN(block->shared_, GatedMlp::load(context, prefix + "shared_experts.", width, false));
  }
  return std::unique_ptr<FeedForward>(std::move(block));
}

void MoeFeedForward::forward(Workspace* workspace, const float* h, int64_t tokens, float* x) {
  if (tokens == 0) return;
  route(workspace, h, tokens);
  const int64_t rows = tokens * per_token_;
  float* gates = workspace->floats(0, rows * inner_);
  float* ups = workspace->floats(1, rows * inner_);
  float* outs = workspace->floats(2, rows * hidden_);
  multiply_inner(h, gates, ups);
  dense_->gate_mul(gating_, gates, ups, rows * inner_, gates);
  multiply_outer(gates, outs);
  dense_->add_weighted_rows(outs, hidden_, rows_.row_of().data(), weights_.data(), tokens, per_token_, x);
  if (shared_ != nullptr) shared_->forward(workspace, h, tokens, x);
}

void MoeFeedForward::route(Workspace* workspace, const float* h, int64_t tokens) {
  chosen_.resize(static_cast<size_t>(tokens * per_token_));
  weights_.resize(chosen_.size());
  router_->route(workspace, h, tokens, chosen_.data(), weights_.data());
  rows_.assign(chosen_, per_token_, static_cast<int>(experts_.size()));
}

void MoeFeedForward::multiply_inner(const float* h, float* gates, float* ups) {
  products_.clear();
  groups_.clear();
  for (const ExpertRows::Run& run : rows_.runs()) {
    const Expert& expert = experts_[static_cast<size_t>(run.expert)];
    const int64_t at = run.begin * inner_;
    products_.push_back({expert.gate.get(), gates + at, inner_, data_or_null(expert.gate_bias)});
    products_.push_back({expert.up.get(), ups + at, inner_, data_or_null(expert.up_bias)});
  }
  const kernels::Product* products = products_.data();
  for (const ExpertRows::Run& run : rows_.runs()) {
    groups_.push_back({h, hidden_, run.count(), {products, 2}, rows_.token_of().data() + run.begin});
    products += 2;
  }
  dense_->matmul(groups_);
}

void MoeFeedForward::multiply_outer(const float* inner, float* outs) {
  products_.clear();
  groups_.clear();
  for (const ExpertRows::Run& run : rows_.runs()) {
    const Expert& expert = experts_[static_cast<size_t>(run.expert)];
    products_.push_back({expert.down.get(), outs + run.begin * hidden_, hidden_, data_or_null(expert.down_bias)});
  }
  const kernels::Product* product = products_.data();
  for (const ExpertRows::Run& run : rows_.runs())
    groups_.push_back({inner + run.begin * inner_, inner_, run.count(), {product++, 1}});
  dense_->matmul(groups_);
}

}  // namespace vortex::model
