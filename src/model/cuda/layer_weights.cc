#include "model/cuda/layer_weights.h"

#include <fmt/core.h>

namespace vortex::cuda {
namespace {

/// The transpose of each [rows, cols] matrix of a stack.
std::vector<float> transposed(const std::vector<float>& stack, int64_t count, int64_t rows, int64_t cols) {
  std::vector<float> out(stack.size());
  for (int64_t m = 0; m < count; ++m)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; ++c)
        out[static_cast<size_t>((m * cols + c) * rows + r)] = stack[static_cast<size_t>((m * rows + r) * cols + c)];
  return out;
}

DeviceArray<bf16> uploaded(const std::vector<float>& values) {
  DeviceArray<bf16> out(static_cast<int64_t>(values.size()));
  WeightLoader::upload(values, out.data());
  return out;
}

/// kv_b_proj holds, head after head, the rows of K_h [nope, rank] and of V_h [v, rank].
void split_kv_b(const std::vector<float>& kv_b, const MlaConfig& mla, int heads, LatentWeights* out) {
  const auto key = static_cast<size_t>(mla.qk_nope_head_dim * mla.kv_lora_rank);
  const auto value = static_cast<size_t>(mla.v_head_dim * mla.kv_lora_rank);
  std::vector<float> keys, values;
  for (size_t h = 0; h < static_cast<size_t>(heads); ++h) {
    const float* head = kv_b.data() + h * (key + value);
    keys.insert(keys.end(), head, head + key);
    values.insert(values.end(), head + key, head + key + value);
  }
  out->absorb = uploaded(transposed(keys, heads, mla.qk_nope_head_dim, mla.kv_lora_rank));
  out->value = uploaded(values);
}

/// [experts, rows, cols] of a stack that alternates two matrices' columns: first the one, then the other, transposed.
std::vector<float> unzipped(const std::vector<float>& stack, int64_t experts, int64_t hidden, int64_t inner) {
  std::vector<float> out(stack.size());
  for (int64_t e = 0; e < experts; ++e)
    for (int64_t c = 0; c < hidden; ++c)
      for (int64_t r = 0; r < 2 * inner; ++r)
        out[static_cast<size_t>(((e * 2 + r % 2) * inner + r / 2) * hidden + c)] =
            stack[static_cast<size_t>((e * hidden + c) * 2 * inner + r)];
  return out;
}

std::vector<float> unzipped_bias(const std::vector<float>& stack, int64_t experts, int64_t inner) {
  return unzipped(stack, experts, 1, inner);
}

void load_stacked(WeightLoader& loader, const std::string& prefix, MoeWeights* out) {
  const ModelConfig& c = loader.config();
  const int64_t experts = c.moe.experts, hidden = c.hidden_size, inner = c.moe.intermediate_size;
  out->gate_up = uploaded(
      unzipped(loader.floats(prefix + "gate_up_proj", Shape{experts, hidden, 2 * inner}), experts, hidden, inner));
  out->down =
      uploaded(transposed(loader.floats(prefix + "down_proj", Shape{experts, inner, hidden}), experts, inner, hidden));
  if (!c.moe.expert_bias) return;
  out->gate_up_bias = to_device<float>(
      unzipped_bias(loader.floats(prefix + "gate_up_proj_bias", Shape{experts, 2 * inner}), experts, inner));
  out->down_bias = to_device<float>(loader.floats(prefix + "down_proj_bias", Shape{experts, hidden}));
}

void load_one_by_one(WeightLoader& loader, const std::string& prefix, MoeWeights* out) {
  const ModelConfig& c = loader.config();
  const int64_t experts = c.moe.experts, hidden = c.hidden_size, inner = c.moe.intermediate_size;
  out->gate_up = DeviceArray<bf16>(experts * 2 * inner * hidden);
  out->down = DeviceArray<bf16>(experts * hidden * inner);
  std::vector<std::string> gate_up_names, down_names;
  for (int64_t e = 0; e < experts; ++e) {
    const std::string expert = fmt::format("{}{}.", prefix, e);
    bf16* gate_up = out->gate_up.data() + e * 2 * inner * hidden;
    loader.matrix_to(expert + "gate_proj.weight", inner, hidden, gate_up);
    loader.matrix_to(expert + "up_proj.weight", inner, hidden, gate_up + inner * hidden);
    loader.matrix_to(expert + "down_proj.weight", hidden, inner, out->down.data() + e * hidden * inner);
    gate_up_names.insert(gate_up_names.end(), {expert + "gate_proj.bias", expert + "up_proj.bias"});
    down_names.push_back(expert + "down_proj.bias");
  }
  if (!c.moe.expert_bias) return;
  out->gate_up_bias = loader.vectors(gate_up_names, std::vector<int64_t>(gate_up_names.size(), inner));
  out->down_bias = loader.vectors(down_names, std::vector<int64_t>(down_names.size(), hidden));
}

}  // namespace

GqaWeights GqaWeights::load(WeightLoader& loader, const std::string& prefix) {
  const ModelConfig& c = loader.config();
  const int64_t q = int64_t{c.heads} * c.head_dim, kv = int64_t{c.kv_heads} * c.head_dim, hidden = c.hidden_size;
  GqaWeights w;
  w.qkv = DeviceArray<bf16>((q + 2 * kv) * hidden);
  loader.matrix_to(prefix + "q_proj.weight", q, hidden, w.qkv.data());
  loader.matrix_to(prefix + "k_proj.weight", kv, hidden, w.qkv.data() + q * hidden);
  loader.matrix_to(prefix + "v_proj.weight", kv, hidden, w.qkv.data() + (q + kv) * hidden);
  w.o = loader.matrix(prefix + "o_proj.weight", hidden, q);
  if (c.qkv_bias)
    w.qkv_bias = loader.vectors({prefix + "q_proj.bias", prefix + "k_proj.bias", prefix + "v_proj.bias"}, {q, kv, kv});
  if (c.o_bias) w.o_bias = loader.vector(prefix + "o_proj.bias", hidden);
  if (c.attention_sinks) w.sinks = loader.vector(prefix + "sinks", c.heads);
  if (c.qk_norm != QkNorm::kNone) {
    const bool all = c.qk_norm == QkNorm::kAll;
    w.q_norm = loader.norm(prefix + "q_norm.weight", all ? q : c.head_dim);
    w.k_norm = loader.norm(prefix + "k_norm.weight", all ? kv : c.head_dim);
  }
  return w;
}

LatentWeights LatentWeights::load(WeightLoader& loader, const std::string& prefix) {
  const ModelConfig& c = loader.config();
  const MlaConfig& mla = c.mla;
  const int64_t hidden = c.hidden_size, low = mla.q_lora_rank, rank = mla.kv_lora_rank, heads = c.heads;
  const int64_t nope = mla.qk_nope_head_dim, v = mla.v_head_dim, q_width = heads * (nope + mla.qk_rope_head_dim);
  LatentWeights w;
  if (low > 0) {
    w.q_a = loader.matrix(prefix + "q_a_proj.weight", low, hidden);
    w.q_a_norm = loader.norm(prefix + "q_a_layernorm.weight", low);
    if (c.qkv_bias) w.q_a_bias = loader.vector(prefix + "q_a_proj.bias", low);
  }
  w.q = loader.matrix(prefix + (low > 0 ? "q_b_proj.weight" : "q_proj.weight"), q_width, low > 0 ? low : hidden);
  w.kv_a = loader.matrix(prefix + "kv_a_proj_with_mqa.weight", c.head_dim, hidden);
  w.kv_a_norm = loader.norm(prefix + "kv_a_layernorm.weight", rank);
  if (c.qkv_bias) w.kv_a_bias = loader.vector(prefix + "kv_a_proj_with_mqa.bias", c.head_dim);
  w.o = loader.matrix(prefix + "o_proj.weight", hidden, heads * v);
  if (c.o_bias) w.o_bias = loader.vector(prefix + "o_proj.bias", hidden);
  if (loader.contains(prefix + "k_b_proj.weight")) {  // as GGUF files of today store them
    w.absorb = uploaded(loader.floats(prefix + "k_b_proj.weight", Shape{heads, rank, nope}));
    w.value = uploaded(loader.floats(prefix + "v_b_proj.weight", Shape{heads, v, rank}));
  } else {
    split_kv_b(loader.floats(prefix + "kv_b_proj.weight", Shape{heads * (nope + v), rank}), mla, c.heads, &w);
  }
  return w;
}

MlpWeights MlpWeights::load(WeightLoader& loader, const std::string& prefix, int64_t inner, bool bias) {
  const int64_t hidden = loader.config().hidden_size;
  MlpWeights w;
  w.inner = inner;
  w.gate_up = DeviceArray<bf16>(2 * inner * hidden);
  loader.matrix_to(prefix + "gate_proj.weight", inner, hidden, w.gate_up.data());
  loader.matrix_to(prefix + "up_proj.weight", inner, hidden, w.gate_up.data() + inner * hidden);
  w.down = loader.matrix(prefix + "down_proj.weight", hidden, inner);
  if (bias) {
    w.gate_up_bias = loader.vectors({prefix + "gate_proj.bias", prefix + "up_proj.bias"}, {inner, inner});
    w.down_bias = loader.vector(prefix + "down_proj.bias", hidden);
  }
  return w;
}

MoeWeights MoeWeights::load(WeightLoader& loader, const std::string& prefix) {
  const ModelConfig& c = loader.config();
  const int64_t experts = c.moe.experts, hidden = c.hidden_size;
  MoeWeights w;
  w.router = to_device<float>(loader.floats(prefix + "gate.weight", Shape{experts, hidden}));
  if (c.moe.router_bias) w.logit_bias = loader.vector(prefix + "gate.bias", experts);
  if (c.moe.selection_bias) w.selection_bias = loader.vector(prefix + "gate.e_score_correction_bias", experts);
  const std::string experts_prefix = prefix + "experts.";
  if (loader.contains(experts_prefix + "gate_up_proj")) {
    load_stacked(loader, experts_prefix, &w);
  } else {
    load_one_by_one(loader, experts_prefix, &w);
  }
  if (c.moe.shared_experts > 0)
    w.shared = MlpWeights::load(loader, prefix + "shared_experts.",
                                int64_t{c.moe.shared_experts} * c.moe.intermediate_size, false);
  return w;
}

ExpertWeights MoeWeights::view(const ModelConfig& config) const {
  return {.gate_up = gate_up.data(),
          .down = down.data(),
          .gate_up_bias = or_null(gate_up_bias),
          .down_bias = or_null(down_bias),
          .hidden = config.hidden_size,
          .inner = config.moe.intermediate_size,
          .gating = gating_of(config.activation)};
}

LayerWeights LayerWeights::load(WeightLoader& loader, int layer) {
  const ModelConfig& c = loader.config();
  const std::string prefix = fmt::format("model.layers.{}.", layer);
  LayerWeights w;
  const auto norm = [&](const char* name) { return loader.norm(prefix + name, c.hidden_size); };
  w.attention_norm = norm("input_layernorm.weight");
  if (c.sandwich_norms) {
    w.attention_post_norm = norm("post_attention_layernorm.weight");
    w.ffn_norm = norm("pre_feedforward_layernorm.weight");
    w.ffn_post_norm = norm("post_feedforward_layernorm.weight");
  } else {
    w.ffn_norm = norm("post_attention_layernorm.weight");
  }
  if (c.latent()) {
    w.latent = LatentWeights::load(loader, prefix + "self_attn.");
  } else {
    w.gqa = GqaWeights::load(loader, prefix + "self_attn.");
  }
  if (c.is_moe(layer)) {
    w.moe = MoeWeights::load(loader, prefix + "mlp.");
  } else {
    w.mlp = MlpWeights::load(loader, prefix + "mlp.", c.intermediate_size, c.mlp_bias);
  }
  loader.release_pages();
  return w;
}

kernels::Gating gating_of(Activation activation) {
  switch (activation) {
    case Activation::kGeluTanh:
      return kernels::Gating::kGeluTanh;
    case Activation::kClampedSwiglu:
      return kernels::Gating::kClampedSwiglu;
    case Activation::kSilu:
      break;
  }
  return kernels::Gating::kSilu;
}

}  // namespace vortex::cuda
