// The weights of one layer on the GPU. Matrices that share their input lie one after the other and are one product.
#pragma once

#include <cuda_bf16.h>

#include <optional>

#include "kernels/cuda/moe.h"
#include "model/cuda/weight_loader.h"

namespace vortex::cuda {

/// Empty arrays: the model has none.
struct GqaWeights {
  DeviceArray<bf16> qkv;  // [(heads + 2 kv_heads) * head_dim, hidden]
  DeviceArray<bf16> o;    // [hidden, heads * head_dim]
  DeviceArray<float> qkv_bias, o_bias, q_norm, k_norm, sinks;

  static GqaWeights load(WeightLoader& loader, const std::string& prefix);
};

/// model/latent_attention.h says what is multiplied by what.
struct LatentWeights {
  DeviceArray<bf16> q_a;     // [q_lora_rank, hidden]; empty: q reads the hidden state
  DeviceArray<bf16> q;       // [heads * (nope + rope), q_lora_rank or hidden]
  DeviceArray<bf16> kv_a;    // [rank + rope, hidden]
  DeviceArray<bf16> absorb;  // [heads, rank, nope]
  DeviceArray<bf16> value;   // [heads, v, rank]
  DeviceArray<bf16> o;       // [hidden, heads * v]
  DeviceArray<float> q_a_norm, q_a_bias, kv_a_norm, kv_a_bias, o_bias;

  static LatentWeights load(WeightLoader& loader, const std::string& prefix);
};

struct MlpWeights {
  int64_t inner = 0;
  DeviceArray<bf16> gate_up;  // [2 * inner, hidden]
  DeviceArray<bf16> down;     // [hidden, inner]
  DeviceArray<float> gate_up_bias, down_bias;

  static MlpWeights load(WeightLoader& loader, const std::string& prefix, int64_t inner, bool bias);
};

struct MoeWeights {
  DeviceArray<float> router;  // [experts, hidden]
  DeviceArray<float> logit_bias, selection_bias;
  DeviceArray<bf16> gate_up;  // [experts, 2 * inner, hidden]
  DeviceArray<bf16> down;     // [experts, hidden, inner]
  DeviceArray<float> gate_up_bias, down_bias;
  std::optional<MlpWeights> shared;

  static MoeWeights load(WeightLoader& loader, const std::string& prefix);
  ExpertWeights view(const ModelConfig& config) const;
};

struct LayerWeights {
  DeviceArray<float> attention_norm, attention_post_norm, ffn_norm, ffn_post_norm;
  std::optional<GqaWeights> gqa;  // one of these two
  std::optional<LatentWeights> latent;
  std::optional<MlpWeights> mlp;  // and one of these
  std::optional<MoeWeights> moe;

  static LayerWeights load(WeightLoader& loader, int layer);
};

/// Null for an empty array, as kernels take what a model lacks.
inline const float* or_null(const DeviceArray<float>& array) { return array.data(); }

kernels::Gating gating_of(Activation activation);

}  // namespace vortex::cuda
