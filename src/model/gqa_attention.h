// Grouped-query attention (Ainslie et al. 2023) over pages, with an optional flow that selects what decode reads.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/layers.h"
#include "model/paged_decode.h"

namespace vortex::model {

class GqaAttention final : public AttentionBlock {
 public:
  static Result<std::unique_ptr<AttentionBlock>> load(const LoadContext& context, int layer);
  void forward(const LayerStep& step, const float* h, float* x) override;

 private:
  GqaAttention() = default;
  Status load_biases(const LoadContext& context, const std::string& prefix);
  Status load_norms(const LoadContext& context, const std::string& prefix);
  void project(const LayerStep& step, const float* h);
  void norm_heads(float* x, int64_t tokens, int heads, const std::vector<float>& weight) const;
  void norm_across_ranks(int64_t tokens);
  void attend(const LayerStep& step);

  Backend backend_;
  int heads_ = 0, kv_heads_ = 0, head_dim_ = 0;
  float eps_ = 0;
  QkNorm qk_norm_ = QkNorm::kNone;
  attention::AttentionShape shape_;
  std::unique_ptr<kernels::Matrix> q_, k_, v_, o_;
  std::vector<float> q_bias_, k_bias_, v_bias_, o_bias_;                               // empty: none
  std::vector<float> q_norm_, k_norm_, sinks_;                                         // empty: none
  std::vector<float> squares_;                                                         // of a step: [tokens, q and k]
  float *queries_ = nullptr, *keys_ = nullptr, *values_ = nullptr, *mixed_ = nullptr;  // this step's, [tokens, width]
};

}  // namespace vortex::model
