// DeepSeek-V2 (arXiv:2405.04434), DeepSeek-V3 (arXiv:2412.19437) and Kimi K2, which has V3's form.
#include "loader/config_limits.h"
#include "loader/errors.h"
#include "loader/families/experts.h"
#include "loader/families/families.h"
#include "loader/families/latent.h"

namespace vortex::families {
namespace {

constexpr HfName kV2Names[] = {{"DeepseekV2ForCausalLM", "deepseek_v2"}};
constexpr HfName kV3Names[] = {{"DeepseekV3ForCausalLM", "deepseek_v3"}, {"DeepseekV3ForCausalLM", "kimi_k2"}};
constexpr std::string_view kHonours[] = {"kv_lora_rank",      "n_routed_experts", "num_experts",
                                         "num_local_experts", "n_shared_experts", "rope_interleave"};

/// V2 picks by softmax, from all experts or from the groups with the best experts.
void read_v2_router(ConfigFields& fields, MoeConfig* out) {
  fields.expect_text("scoring_func", "softmax");
  fields.expect_boolean("norm_topk_prob", false);
  out->scoring = MoeConfig::Scoring::kSoftmax;
  out->routed_scale = static_cast<float>(fields.number("routed_scaling_factor", 0, 1e6).value_or(1.0));
  out->shared_experts = fields.integer("n_shared_experts", 0, limits::kExperts).value_or(0);
  const std::string method = fields.text("topk_method").value_or("greedy");
  if (method == "greedy") return;
  if (method != "group_limited_greedy") {
    fields.fail(unsupported(fields.where(), fmt::format("unknown topk_method {}", quote_name(method)),
                            "supported: greedy, group_limited_greedy"));
  }
  out->groups = fields.required_integer("n_group", 1, limits::kExperts);
  out->top_groups = fields.required_integer("topk_group", 1, limits::kExperts);
  out->group_score = MoeConfig::GroupScore::kMax;
}

void read_v2(ConfigFields& fields, ModelConfig* out) {
  read_hf_latent(fields, out);
  fields.expect_boolean("rope_interleave", true);
  out->rope.interleaved = true;
  read_hf_experts(fields, "moe_intermediate_size", &out->moe);
  read_v2_router(fields, &out->moe);
  read_dense_start(fields, 0, out);
}

void read_v3(ConfigFields& fields, ModelConfig* out) {
  read_hf_latent(fields, out);
  out->rope.interleaved = fields.boolean("rope_interleave").value_or(true);
  read_hf_experts(fields, "moe_intermediate_size", &out->moe);
  read_noaux_router(fields, {.groups = 8, .top_groups = 4, .routed_scale = 2.5f}, &out->moe);
  read_dense_start(fields, 3, out);
}

constexpr std::string_view kGgufHonours[] = {"expert_count", "expert_shared_count", "attention.kv_lora_rank",
                                             "rope.scaling.yarn_log_multiplier"};

/// GGUF keeps a tenth of mscale_all_dim; in all these models mscale is the same, so cos and sin are not scaled.
void read_gguf_mscale(ConfigFields& fields, RopeConfig* out) {
  const auto multiplier = fields.number("rope.scaling.yarn_log_multiplier", 0, 1e6);
  if (!multiplier || out->variant != RopeConfig::Variant::kYarn) return;
  out->mscale = out->mscale_all_dim = *multiplier * 10.0;
}

/// One architecture in GGUF for V2, V3, Kimi K2 and GLM-4.7-Flash.
void read_gguf(const GgufFile& file, ConfigFields& fields, ModelConfig* out) {
  read_gguf_latent(fields, out);
  read_gguf_mscale(fields, &out->rope);
  read_gguf_experts(file, fields, MoeConfig::Scoring::kSoftmax, out);
}

}  // namespace

constinit const Family kDeepseekV2{
    .hf = {.names = kV2Names, .defaults = {.max_positions = 2048}, .honours = kHonours, .read = read_v2},
};

constinit const Family kDeepseekV3{
    .hf = {.names = kV3Names, .defaults = {.max_positions = 4096}, .honours = kHonours, .read = read_v3},
    .gguf = {.name = "deepseek2", .interleaved_rope = true, .honours = kGgufHonours, .read = read_gguf},
    .has_prediction_layers = true,
};

}  // namespace vortex::families
