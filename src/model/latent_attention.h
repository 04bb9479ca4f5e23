// Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434). A token leaves one row [kv_c | k_pe] in the cache, for
// all heads. Keys and values are products of kv_c: k_nope = K_h kv_c, v = V_h kv_c for head h. Two ways to attend:
//
//   absorbed  q_h' = [K_h^T q_nope | q_pe] meets the rows as they lie, and V_h is applied to what comes out. Nothing is
//             made per cached token, each pair of query and token costs 2 * rank + rope multiplications a head
//   expanded  keys and values of all tokens are made first; then a pair costs nope + rope + v
//
// Decode is absorbed, so the cache is never expanded; a prompt's chunk takes what costs less.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/layers.h"

namespace vortex::model {

class LatentAttention final : public AttentionBlock {
 public:
  static Result<std::unique_ptr<AttentionBlock>> load(const LoadContext& context, int layer);
  void forward(const LayerStep& step, const float* h, float* x) override;

 private:
  /// The up-projections of one head.
  struct Head {
    std::unique_ptr<kernels::Matrix> key;     // [nope, rank]
    std::unique_ptr<kernels::Matrix> absorb;  // its transpose: [rank, nope]
    std::unique_ptr<kernels::Matrix> value;   // [v, rank]
  };
  /// Buffers of one step, [tokens, ...] each, and of its decodes.
  struct Buffers {
    float* queries = nullptr;   // [heads, nope + rope]
    float* latents = nullptr;   // [rank + rope]
    float* mixed = nullptr;     // [heads, v]
    float* absorbed = nullptr;  // [heads, rank + rope]
    float* attended = nullptr;  // [heads, rank]
  };

  LatentAttention() = default;
  Status load_projections(const LoadContext& context, const std::string& prefix);
  Status load_heads(const LoadContext& context, const std::string& prefix);
  Status load_split_heads(const LoadContext& context, const std::string& prefix);

  void project(const LayerStep& step, const float* h);
  void project_queries(const LayerStep& step, const float* h);
  void project_latents(const LayerStep& step, const float* h);
  void attend(const LayerStep& step);
  void reserve_absorbed(const LayerStep& step, int64_t tokens);
  void absorb_queries(const float* queries, int64_t tokens);
  void apply_values(int64_t tokens, float* mixed);
  void prefill_absorbed(const LayerStep& step, const attention::TokenSlice& slice, int64_t token);
  void prefill_expanded(const LayerStep& step, const attention::TokenSlice& slice, int64_t token);
  void expand(const LayerStep& step, const attention::TokenSlice& slice, std::span<const Head> heads, int64_t stride,
              float* out);
  bool absorbing_is_cheaper(int64_t new_tokens) const;

  int query_dim() const { return mla_.qk_nope_head_dim + mla_.qk_rope_head_dim; }
  int latent_dim() const { return mla_.kv_lora_rank + mla_.qk_rope_head_dim; }
  int expanded_dim() const { return mla_.qk_nope_head_dim + mla_.v_head_dim; }
  int64_t query_width() const { return int64_t{heads_count_} * query_dim(); }
  int64_t value_width() const { return int64_t{heads_count_} * mla_.v_head_dim; }

  Backend backend_;
  MlaConfig mla_;
  int heads_count_ = 0;
  attention::AttentionShape shape_;
  std::unique_ptr<kernels::Matrix> q_;      // from the hidden state, or from q_a's output
  std::unique_ptr<kernels::Matrix> q_a_;    // null without q_lora_rank
  std::vector<float> q_a_norm_, q_a_bias_;  // empty: none
  std::unique_ptr<kernels::Matrix> kv_a_, o_;
  std::vector<float> kv_a_norm_, kv_a_bias_, o_bias_;
  std::vector<Head> heads_;
  Buffers buffers_;
  std::vector<kernels::ProductGroup> groups_;
  std::vector<kernels::Product> products_;
};

}  // namespace vortex::model
