#include "model/moe_feed_forward.h"

#include <algorithm>

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
  float* outs = workspace->floats(3, rows * hidden_);
  // A token alone is the input of all its experts, wherever they look for their rows.
  multiply_inner(tokens == 1 ? h : gather(workspace, h, tokens), tokens == 1 ? 0 : hidden_, gates, ups);
  dense_->gate_mul(gating_, gates, ups, rows * inner_, gates);
  multiply_outer(gates, outs);
  add_experts(outs, tokens, x);
  if (shared_ != nullptr) shared_->forward(workspace, h, tokens, x);
}

void MoeFeedForward::route(Workspace* workspace, const float* h, int64_t tokens) {
  chosen_.resize(static_cast<size_t>(tokens * per_token_));
  weights_.resize(chosen_.size());
  router_->route(workspace, h, tokens, chosen_.data(), weights_.data());
  rows_.assign(chosen_, static_cast<int>(experts_.size()));
}

const float* MoeFeedForward::gather(Workspace* workspace, const float* h, int64_t tokens) const {
  float* rows = workspace->floats(2, tokens * per_token_ * hidden_);
  for (size_t i = 0; i < chosen_.size(); ++i)
    std::copy_n(h + static_cast<int64_t>(i) / per_token_ * hidden_, hidden_, rows + rows_.row_of()[i] * hidden_);
  return rows;
}

void MoeFeedForward::multiply_inner(const float* rows, int64_t row_stride, float* gates, float* ups) {
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
    groups_.push_back({rows + run.begin * row_stride, hidden_, run.count(), {products, 2}});
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

void MoeFeedForward::add_experts(const float* outs, int64_t tokens, float* x) const {
  for (int64_t t = 0; t < tokens; ++t, x += hidden_) {
    for (int64_t i = t * per_token_; i < (t + 1) * per_token_; ++i) {
      const float weight = weights_[static_cast<size_t>(i)];
      const float* out = outs + rows_.row_of()[static_cast<size_t>(i)] * hidden_;
      for (int64_t c = 0; c < hidden_; ++c) x[c] += weight * out[c];
    }
  }
}

}  // namespace vortex::model
