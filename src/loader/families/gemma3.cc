// Gemma 3, text only (arXiv:2503.19786): five sliding layers to a full one, each with a rope of its own; norms before
// and after each block, whose weights are stored less one.
#include <algorithm>
#include <cmath>

#include "loader/config_limits.h"
#include "loader/families/families.h"
#include "loader/families/windows.h"

namespace vortex::families {
namespace {

constexpr HfName kNames[] = {{"Gemma3ForCausalLM", "gemma3_text"}};
constexpr std::string_view kHonours[] = {"query_pre_attn_scalar", "sliding_window", "rope_local_base_freq"};

/// What files and GGUF metadata do not say because all Gemma 3 models have it.
void set_gemma_facts(ModelConfig* out) {
  out->qk_norm = QkNorm::kHead;
  out->sandwich_norms = true;
  out->embedding_scale = std::sqrt(static_cast<float>(out->hidden_size));
}

/// Every sixth layer is full, in old files every sliding_window_pattern-th; transformers 5 writes the underscore.
int full_layer_step(ConfigFields& fields) {
  const auto old_name = fields.integer("sliding_window_pattern", 1, limits::kLayers);
  return old_name ? *old_name : fields.integer("_sliding_window_pattern", 1, limits::kLayers).value_or(6);
}

void read_hf(ConfigFields& fields, ModelConfig* out) {
  set_gemma_facts(out);
  out->norm_plus_one = true;
  out->qkv_bias = out->o_bias = fields.boolean("attention_bias").value_or(false);
  const double scalar = fields.number("query_pre_attn_scalar", 1e-6, 1e6).value_or(256.0);
  out->attention_scale = static_cast<float>(1.0 / std::sqrt(scalar));
  const int step = full_layer_step(fields);
  read_hf_window(
      fields, 4096, [step](int layer) { return (layer + 1) % step != 0; }, out);
}

constexpr WeightAlias kGgufWeights[] = {
    {"post_attention_norm", "post_attention_layernorm"},
    {"ffn_norm", "pre_feedforward_layernorm"},
    {"post_ffw_norm", "post_feedforward_layernorm"},
};

constexpr std::string_view kGgufHonours[] = {"attention.scale"};

/// Most files do not say by what logits are scaled. Only the 27B model, of 62 layers, does not take its head_dim.
float gguf_attention_scale(const ModelConfig& config) {
  const int dim = config.layers == 62 ? std::max(config.hidden_size / config.heads, 1) : config.head_dim;
  return 1.0f / std::sqrt(static_cast<float>(dim));
}

void read_gguf(const GgufFile&, ConfigFields& fields, ModelConfig* out) {
  set_gemma_facts(out);  // the stored norm weights have the one added already
  out->activation = Activation::kGeluTanh;
  const auto scale = fields.number("attention.scale", 1e-6, 1e6);
  out->attention_scale = scale ? static_cast<float>(*scale) : gguf_attention_scale(*out);
  read_gguf_window(fields, 6, out);
  out->sliding_rope.emplace();
  out->sliding_rope->theta = fields.number("rope.freq_base_swa", 1.000001, limits::kRopeTheta).value_or(10000.0);
  out->sliding_rope->rotary_dim = out->rope.rotary_dim;
}

}  // namespace

constinit const Family kGemma3{
    .hf = {.names = kNames,
           .defaults = {.head_dim = 256,
                        .max_positions = 131072,
                        .rope_theta = 1e6,
                        .sliding_rope_theta = 1e4,
                        .activation = Activation::kGeluTanh,
                        .tied_head = true},
           .honours = kHonours,
           .read = read_hf},
    .gguf = {.name = "gemma3", .honours = kGgufHonours, .read = read_gguf, .weights = kGgufWeights},
};

}  // namespace vortex::families
