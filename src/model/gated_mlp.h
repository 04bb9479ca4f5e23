// Gated feed-forward network: down(f(gate(h), up(h))).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/layers.h"

namespace vortex::model {

class GatedMlp final : public FeedForward {
 public:
  /// `prefix` is the block's name in the weights ("model.layers.3.mlp.").
  static Result<std::unique_ptr<FeedForward>> load(const LoadContext& context, const std::string& prefix,
                                                   int64_t intermediate_size, bool bias);
  void forward(Workspace* workspace, const float* h, int64_t tokens, float* x) override;

 private:
  GatedMlp() = default;

  kernels::DenseOps* dense_ = nullptr;
  kernels::Gating gating_ = kernels::Gating::kSilu;
  std::unique_ptr<kernels::Matrix> gate_, up_, down_;
  std::vector<float> gate_bias_, up_bias_, down_bias_;  // empty: none
};

}  // namespace vortex::model
