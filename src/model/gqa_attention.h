// Grouped-query attention (Ainslie et al. 2023) over pages, with an optional flow that selects what decode reads.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/layers.h"

namespace vortex::model {

struct GqaOptions {
  bool qkv_bias = false;
  bool o_bias = false;
  bool qk_norm = false;  // RMS norm of each head of q and k before rope (Qwen3)
};

class GqaAttention final : public AttentionBlock {
 public:
  /// `prefix` is the block's name in the weights ("model.layers.3.self_attn.").
  static Result<std::unique_ptr<AttentionBlock>> load(const LoadContext& context, const std::string& prefix,
                                                      const GqaOptions& options);
  void forward(const LayerStep& step, const float* h, float* x) override;

 private:
  GqaAttention() = default;
  void project(const LayerStep& step, const float* h);
  void attend(const LayerStep& step);
  void decode(const LayerStep& step);
  void select(const LayerStep& step);

  Backend backend_;
  int heads_ = 0, kv_heads_ = 0, head_dim_ = 0;
  float eps_ = 0, scale_ = 0;
  std::unique_ptr<kernels::Matrix> q_, k_, v_, o_;
  std::vector<float> q_bias_, k_bias_, v_bias_, o_bias_;  // empty: none
  std::vector<float> q_norm_, k_norm_;
  float *queries_ = nullptr, *keys_ = nullptr, *values_ = nullptr, *mixed_ = nullptr;  // this step's, [tokens, width]
};

}  // namespace vortex::model
