#include "loader/families/experts.h"

#include <algorithm>

#include "loader/config_limits.h"
#include "loader/errors.h"

namespace vortex {

void read_hf_experts(ConfigFields& fields, std::string_view width, MoeConfig* out) {
  for (std::string_view key : kExpertCounts) {
    const int count = fields.integer(key, 1, limits::kExperts).value_or(out->experts);
    if (out->experts > 0 && count != out->experts) {
      fields.fail(data_loss(fields.where(), fmt::format("names both {} and {} experts", out->experts, count)));
    }
    out->experts = count;
  }
  if (out->experts == 0) fields.fail(data_loss(fields.where(), "the number of experts is missing"));
  out->experts_per_token = fields.required_integer("num_experts_per_tok", 1, limits::kExperts);
  out->intermediate_size = fields.required_integer(width, 1, limits::kIntermediate);
}

void mix_layers(ModelConfig* out, const std::function<bool(int layer)>& mixed) {
  for (int layer = 0; layer < out->layers; ++layer) out->moe_layers.push_back(mixed(layer));
  const bool any = std::find(out->moe_layers.begin(), out->moe_layers.end(), true) != out->moe_layers.end();
  if (!any) out->moe_layers.clear();
}

void read_dense_start(ConfigFields& fields, int usual_dense, ModelConfig* out) {
  const int dense = fields.integer("first_k_dense_replace", 0, limits::kLayers).value_or(usual_dense);
  const int step = fields.integer("moe_layer_freq", 1, limits::kLayers).value_or(1);
  mix_layers(out, [=](int layer) { return layer >= dense && layer % step == 0; });
}

void read_noaux_router(ConfigFields& fields, const NoauxDefaults& usual, MoeConfig* out) {
  fields.expect_text("scoring_func", "sigmoid");
  fields.expect_text("topk_method", "noaux_tc");
  out->scoring = MoeConfig::Scoring::kSigmoid;
  out->selection_bias = true;
  out->normalize = fields.boolean("norm_topk_prob").value_or(true);
  out->normalize_epsilon = 1e-20f;
  out->routed_scale = static_cast<float>(fields.number("routed_scaling_factor", 0, 1e6).value_or(usual.routed_scale));
  out->groups = fields.integer("n_group", 1, limits::kExperts).value_or(usual.groups);
  out->top_groups = fields.integer("topk_group", 1, limits::kExperts).value_or(usual.top_groups);
  out->group_score = MoeConfig::GroupScore::kTop2Sum;
  out->shared_experts = fields.integer("n_shared_experts", 0, limits::kExperts).value_or(0);
}

namespace {

/// GGUF numbers them.
MoeConfig::Scoring gguf_scoring(ConfigFields& fields, MoeConfig::Scoring usual) {
  const int number = fields.integer("expert_gating_func", 0, INT32_MAX).value_or(0);
  if (number == 0) return usual;
  if (number == 1) return MoeConfig::Scoring::kSoftmax;
  if (number == 2) return MoeConfig::Scoring::kSigmoid;
  if (number == 3) return MoeConfig::Scoring::kTopKSoftmax;
  fields.fail(unsupported(fields.where(), fmt::format("unknown {} {}", fields.full_name("expert_gating_func"), number),
                          "supported: 1 (softmax), 2 (sigmoid), 3 (softmax of the best)"));
  return usual;
}

bool any_tensor_ends(const GgufFile& file, std::string_view end) {
  return std::any_of(file.tensors().begin(), file.tensors().end(),
                     [end](const NamedTensor& tensor) { return tensor.name.ends_with(end); });
}

}  // namespace

void read_gguf_experts(const GgufFile& file, ConfigFields& fields, MoeConfig::Scoring usual, ModelConfig* out) {
  MoeConfig& moe = out->moe;
  moe.experts = fields.required_integer("expert_count", 1, limits::kExperts);
  moe.experts_per_token = fields.required_integer("expert_used_count", 1, limits::kExperts);
  moe.intermediate_size = fields.required_integer("expert_feed_forward_length", 1, limits::kIntermediate);
  moe.shared_experts = fields.integer("expert_shared_count", 0, limits::kExperts).value_or(0);
  moe.selection_bias = any_tensor_ends(file, ".exp_probs_b.bias");
  moe.scoring = gguf_scoring(fields, moe.selection_bias ? MoeConfig::Scoring::kSigmoid : usual);
  const bool sigmoid = moe.scoring == MoeConfig::Scoring::kSigmoid;
  moe.normalize = fields.boolean("expert_weights_norm").value_or(false);
  moe.normalize_epsilon = sigmoid ? 1e-20f : 0.0f;
  const double scale = fields.number("expert_weights_scale", 0, 1e6).value_or(0.0);
  moe.routed_scale = scale == 0.0 ? 1.0f : static_cast<float>(scale);  // 0 means none
  moe.groups = std::max(fields.integer("expert_group_count", 0, limits::kExperts).value_or(1), 1);
  moe.top_groups = std::max(fields.integer("expert_group_used_count", 0, limits::kExperts).value_or(moe.groups), 1);
  moe.group_score = sigmoid ? MoeConfig::GroupScore::kTop2Sum : MoeConfig::GroupScore::kMax;
  const int dense = fields.integer("leading_dense_block_count", 0, limits::kLayers).value_or(0);
  mix_layers(out, [dense](int layer) { return layer >= dense; });
}

}  // namespace vortex
