// Qwen3 mixtures, as Qwen3-30B-A3B (arXiv:2505.09388).
#include <algorithm>
#include <vector>

#include "loader/config_limits.h"
#include "loader/families/experts.h"
#include "loader/families/families.h"
#include "loader/families/windows.h"

namespace vortex::families {
namespace {

constexpr HfName kNames[] = {{"Qwen3MoeForCausalLM", "qwen3_moe"}};
constexpr std::string_view kHonours[] = {"sliding_window", "num_experts", "num_local_experts"};

void read_hf(ConfigFields& fields, ModelConfig* out) {
  out->qkv_bias = out->o_bias = fields.boolean("attention_bias").value_or(false);
  out->qk_norm = QkNorm::kHead;
  if (fields.boolean("use_sliding_window").value_or(false)) {  // max_window_layers counts in the dense form only
    read_hf_window(
        fields, 4096, [](int) { return true; }, out);
  }
  read_hf_experts(fields, "moe_intermediate_size", &out->moe);
  out->moe.scoring = MoeConfig::Scoring::kSoftmax;
  out->moe.normalize = fields.boolean("norm_topk_prob").value_or(false);
  const int step = fields.integer("decoder_sparse_step", 1, limits::kLayers).value_or(1);
  const auto dense = fields.integers("mlp_only_layers", 0, limits::kLayers).value_or(std::vector<int>());
  mix_layers(out, [&](int layer) {
    return (layer + 1) % step == 0 && std::find(dense.begin(), dense.end(), layer) == dense.end();
  });
}

void read_gguf(const GgufFile& file, ConfigFields& fields, ModelConfig* out) {
  read_gguf_experts(file, fields, MoeConfig::Scoring::kSoftmax, out);
  out->moe.normalize = fields.boolean("expert_weights_norm").value_or(true);  // converters do not write it
}

}  // namespace

constinit const Family kQwen3Moe{
    .hf = {.names = kNames, .honours = kHonours, .read = read_hf},
    .gguf = {.name = "qwen3moe", .honours = kGgufExpertCounts, .read = read_gguf},
};

}  // namespace vortex::families
