// gpt-oss (arXiv:2508.10925): every other layer slides, attention sinks, a clamped SwiGLU, biases everywhere.
#include "loader/errors.h"
#include "loader/families/experts.h"
#include "loader/families/families.h"
#include "loader/families/windows.h"

namespace vortex::families {
namespace {

constexpr HfName kNames[] = {{"GptOssForCausalLM", "gpt_oss"}};
constexpr std::string_view kHonours[] = {"sliding_window", "num_local_experts", "num_experts", "swiglu_limit"};
constexpr WeightAlias kWeights[] = {{"mlp.router", "mlp.gate"}};

/// What files and GGUF metadata do not say because all gpt-oss models have it.
void set_gpt_oss_facts(ModelConfig* out) {
  out->activation = Activation::kClampedSwiglu;
  out->attention_sinks = true;
  out->moe.scoring = MoeConfig::Scoring::kTopKSoftmax;
  out->moe.router_bias = out->moe.expert_bias = true;
  mix_layers(out, [](int) { return true; });
}

void read_hf(ConfigFields& fields, ModelConfig* out) {
  fields.expect_number("swiglu_limit", 7.0);
  if (!fields.has("rope_parameters") && !fields.has("rope_scaling")) {  // transformers would make one up
    fields.fail(data_loss(fields.where(), "rope_scaling is missing"));
  }
  out->qkv_bias = out->o_bias = fields.boolean("attention_bias").value_or(true);
  read_hf_window(
      fields, 128, [](int layer) { return layer % 2 == 0; }, out);
  read_hf_experts(fields, "intermediate_size", &out->moe);
  set_gpt_oss_facts(out);
}

constexpr WeightAlias kGgufWeights[] = {{"post_attention_norm", "post_attention_layernorm"}};

void read_gguf(const GgufFile& file, ConfigFields& fields, ModelConfig* out) {
  read_gguf_experts(file, fields, MoeConfig::Scoring::kTopKSoftmax, out);
  out->moe_layers.clear();
  set_gpt_oss_facts(out);
  read_gguf_window(fields, 2, out);
  out->rope.truncate = false;  // GGUF has no word for it
}

}  // namespace

constinit const Family kGptOss{
    .hf = {.names = kNames,
           .defaults = {.head_dim = 64, .max_positions = 131072, .rope_theta = 150000.0},
           .honours = kHonours,
           .read = read_hf,
           .weights = kWeights},
    .gguf = {.name = "gpt-oss", .honours = kGgufExpertCounts, .read = read_gguf, .weights = kGgufWeights},
};

}  // namespace vortex::families
