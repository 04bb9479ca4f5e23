// GLM-4.5, 4.6, 4.7 and the Air models (arXiv:2508.06471): grouped-query attention, half of each head rotated, a
// mixture in DeepSeek-V3's form.
#include "loader/families/experts.h"
#include "loader/families/families.h"

namespace vortex::families {
namespace {

constexpr HfName kNames[] = {{"Glm4MoeForCausalLM", "glm4_moe"}};
constexpr std::string_view kHonours[] = {"n_routed_experts", "num_local_experts", "n_shared_experts", "use_qk_norm"};

void read_hf(ConfigFields& fields, ModelConfig* out) {
  out->qkv_bias = fields.boolean("attention_bias").value_or(false);
  out->qk_norm = fields.boolean("use_qk_norm").value_or(false) ? QkNorm::kHead : QkNorm::kNone;
  read_hf_experts(fields, "moe_intermediate_size", &out->moe);
  read_noaux_router(fields, {}, &out->moe);
  read_dense_start(fields, 1, out);
}

constexpr WeightAlias kGgufWeights[] = {{"post_attention_norm", "post_attention_layernorm"}};

/// block_count includes the layers that predict further tokens.
void read_gguf(const GgufFile& file, ConfigFields& fields, ModelConfig* out) {
  const int predicting = fields.integer("nextn_predict_layers", 0, out->layers - 1).value_or(0);
  out->layers -= predicting;
  out->layer_types.resize(static_cast<size_t>(out->layers));
  read_gguf_experts(file, fields, MoeConfig::Scoring::kSigmoid, out);
}

}  // namespace

constinit const Family kGlm4Moe{
    .hf = {.names = kNames,
           .defaults = {.max_positions = 131072, .partial_rotary = 0.5},
           .honours = kHonours,
           .read = read_hf},
    .gguf = {.name = "glm4moe", .honours = kGgufExpertCounts, .read = read_gguf, .weights = kGgufWeights},
    .has_prediction_layers = true,
};

}  // namespace vortex::families
