#include "loader/weight_names.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "loader/errors.h"
#include "loader/families/family.h"

namespace vortex {
namespace {

constexpr std::string_view kOurLayers = "model.layers.";

/// Outside the layers.
constexpr WeightAlias kGgufModelNames[] = {
    {"token_embd.weight", "model.embed_tokens.weight"},
    {"output_norm.weight", "model.norm.weight"},
    {"output.weight", "lm_head.weight"},
};
/// Within a layer, in all families that do not say otherwise.
constexpr WeightAlias kGgufLayerNames[] = {
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
    {"attn_q_a", "self_attn.q_a_proj"},  // latent attention
    {"attn_q_a_norm", "self_attn.q_a_layernorm"},
    {"attn_q_b", "self_attn.q_b_proj"},
    {"attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"},
    {"attn_kv_a_norm", "self_attn.kv_a_layernorm"},
    {"attn_kv_b", "self_attn.kv_b_proj"},
    {"attn_k_b", "self_attn.k_b_proj"},
    {"attn_v_b", "self_attn.v_b_proj"},
    {"attn_sinks.weight", "self_attn.sinks"},
    {"ffn_gate_inp", "mlp.gate"},  // mixtures
    {"exp_probs_b.bias", "mlp.gate.e_score_correction_bias"},
    {"ffn_gate_exps", "mlp.experts.*.gate_proj"},
    {"ffn_up_exps", "mlp.experts.*.up_proj"},
    {"ffn_down_exps", "mlp.experts.*.down_proj"},
    {"ffn_gate_shexp", "mlp.shared_experts.gate_proj"},
    {"ffn_up_shexp", "mlp.shared_experts.up_proj"},
    {"ffn_down_shexp", "mlp.shared_experts.down_proj"},
};

/// How one kind of file names weights.
struct Naming {
  std::string_view layers;  // stands before the number of a layer
  std::span<const WeightAlias> model;
  std::span<const WeightAlias> family;
  std::span<const WeightAlias> shared;
};

/// "<layers>12.rest"
struct LayerName {
  int layer;
  std::string_view rest;
};

/// The number at the front of `text`, of at most five digits, which it loses.
std::optional<int> take_number(std::string_view* text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + std::min<size_t>(text->size(), 5), number);
  if (error != std::errc() || number < 0 || text->front() == '-') return std::nullopt;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return number;
}

std::optional<LayerName> layer_name(std::string_view name, std::string_view layers) {
  if (!name.starts_with(layers)) return std::nullopt;
  name.remove_prefix(layers.size());
  const auto layer = take_number(&name);
  if (!layer || !name.starts_with('.')) return std::nullopt;
  return LayerName{*layer, name.substr(1)};
}

/// What a tensor becomes: with `stacked`, "*" in the name stands for each index of its first axis.
struct OurName {
  std::string name;
  bool stacked = false;
};

std::string replace_star(std::string_view pattern, std::string_view number) {
  std::string out(pattern);
  const size_t star = out.find('*');
  return star == std::string::npos ? out : out.replace(star, 1, number);
}

bool may_follow(std::string_view rest) { return rest.empty() || rest == ".weight" || rest == ".bias"; }

std::optional<OurName> apply(const WeightAlias& alias, std::string_view name) {
  const size_t star = alias.theirs.find('*');
  if (!name.starts_with(alias.theirs.substr(0, star))) return std::nullopt;
  std::string_view rest = name.substr(std::min(star, alias.theirs.size()));
  if (star == std::string_view::npos) {
    if (!may_follow(rest)) return std::nullopt;
    const bool stacked = alias.ours.find('*') != std::string_view::npos;
    return OurName{std::string(alias.ours) + std::string(rest), stacked};
  }
  const std::string_view from = rest;
  if (!take_number(&rest)) return std::nullopt;
  const std::string_view number = from.substr(0, from.size() - rest.size());
  const std::string_view after = alias.theirs.substr(star + 1);
  if (!rest.starts_with(after) || !may_follow(rest.substr(after.size()))) return std::nullopt;
  return OurName{replace_star(alias.ours, number) + std::string(rest.substr(after.size()))};
}

std::optional<OurName> first_match(std::span<const WeightAlias> aliases, std::string_view name) {
  for (const WeightAlias& alias : aliases) {
    if (auto ours = apply(alias, name)) return ours;
  }
  return std::nullopt;
}

OurName our_name(const Naming& naming, std::string_view name) {
  const auto within = layer_name(name, naming.layers);
  if (!within) {
    for (const WeightAlias& alias : naming.model) {
      if (alias.theirs == name) return {std::string(alias.ours)};
    }
    return {std::string(name)};
  }
  auto ours = first_match(naming.family, within->rest);
  if (!ours) ours = first_match(naming.shared, within->rest);
  if (!ours) return {std::string(name)};
  ours->name = fmt::format("{}{}.{}", kOurLayers, within->layer, ours->name);
  return *ours;
}

Shape without_first_axis(const Shape& shape) {
  Shape out;
  for (int i = 1; i < shape.rank(); ++i) out.push_back(shape[i]);
  return out;
}

Status add_slices(const std::string& pattern, const TensorView& stack, int slices, WeightMap* out) {
  if (stack.shape.rank() < 2 || stack.shape[0] != slices) {
    return data_loss(pattern, fmt::format("stacked tensor has shape {}, the config asks for {} experts",
                                          stack.shape.to_string(), slices));
  }
  const Shape slice = without_first_axis(stack.shape);
  const int64_t bytes = stack.bytes() / stack.shape[0];
  for (int64_t i = 0; i < stack.shape[0]; ++i) {
    const TensorView view{stack.data + i * bytes, stack.dtype, slice};
    VORTEX_RETURN_IF_ERROR(out->add(replace_star(pattern, fmt::format("{}", i)), view));
  }
  return {};
}

Result<int> add_weights(std::span<const NamedTensor> tensors, const Naming& naming, bool leave_out_past_last,
                        const ModelConfig& config, WeightMap* out) {
  int left_out = 0;
  for (const NamedTensor& tensor : tensors) {
    const auto within = layer_name(tensor.name, naming.layers);
    if (leave_out_past_last && within && within->layer >= config.layers) {
      ++left_out;
      continue;
    }
    const OurName ours = our_name(naming, tensor.name);
    VORTEX_RETURN_IF_ERROR(ours.stacked ? add_slices(ours.name, tensor.view, config.moe.experts, out)
                                        : out->add(ours.name, tensor.view));
  }
  return left_out;
}

}  // namespace

Result<int> add_hf_weights(std::span<const NamedTensor> tensors, const Family& family, const ModelConfig& config,
                           WeightMap* out) {
  const Naming naming{kOurLayers, {}, family.hf.weights, {}};
  return add_weights(tensors, naming, family.has_prediction_layers, config, out);
}

Result<int> add_gguf_weights(std::span<const NamedTensor> tensors, const Family& family, const ModelConfig& config,
                             WeightMap* out) {
  const Naming naming{"blk.", kGgufModelNames, family.gguf.weights, kGgufLayerNames};
  return add_weights(tensors, naming, family.has_prediction_layers, config, out);
}

}  // namespace vortex
