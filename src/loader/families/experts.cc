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

}  // namespace vortex
