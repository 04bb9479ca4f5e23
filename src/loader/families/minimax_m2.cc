// MiniMax-M2: q and k normed over all heads together, a mixture in every layer.
#include <algorithm>

#include "loader/config_limits.h"
#include "loader/errors.h"
#include "loader/families/experts.h"
#include "loader/families/families.h"

namespace vortex::families {
namespace {

constexpr HfName kNames[] = {{"MiniMaxM2ForCausalLM", "minimax_m2"}, {"MiniMaxM2ForCausalLM", "minimax"}};
constexpr std::string_view kHonours[] = {"num_local_experts", "num_experts", "use_qk_norm", "rotary_dim",
                                         "attn_type_list"};
constexpr WeightAlias kWeights[] = {
    {"block_sparse_moe.gate", "mlp.gate"},
    {"block_sparse_moe.e_score_correction_bias", "mlp.gate.e_score_correction_bias"},
    {"block_sparse_moe.experts.*.w1", "mlp.experts.*.gate_proj"},
    {"block_sparse_moe.experts.*.w2", "mlp.experts.*.down_proj"},
    {"block_sparse_moe.experts.*.w3", "mlp.experts.*.up_proj"},
};

void read_router(ConfigFields& fields, MoeConfig* out) {
  fields.expect_text("scoring_func", "sigmoid");
  fields.expect_boolean("use_routing_bias", true);
  out->scoring = MoeConfig::Scoring::kSigmoid;
  out->selection_bias = true;
  out->normalize = true;
}

/// 1 is softmax attention; the family's forebears mixed it with linear attention.
void expect_softmax_attention(ConfigFields& fields) {
  const auto types = fields.integers("attn_type_list", 0, limits::kPositions);
  if (!types || std::all_of(types->begin(), types->end(), [](int type) { return type == 1; })) return;
  fields.fail(unsupported(fields.where(), "attn_type_list names another attention than 1"));
}

void read_hf(ConfigFields& fields, ModelConfig* out) {
  fields.expect_boolean("use_qk_norm", true);
  fields.expect_text("qk_norm_type", "per_layer");
  expect_softmax_attention(fields);
  out->qk_norm = QkNorm::kAll;
  out->rope.rotary_dim = fields.integer("rotary_dim", 2, limits::kHeadDim).value_or(0);
  read_hf_experts(fields, "intermediate_size", &out->moe);
  read_router(fields, &out->moe);
  mix_layers(out, [](int) { return true; });
}

void read_gguf(const GgufFile& file, ConfigFields& fields, ModelConfig* out) {
  read_gguf_experts(file, fields, MoeConfig::Scoring::kSigmoid, out);
  out->qk_norm = QkNorm::kAll;
  out->moe.normalize = true;
  out->moe.normalize_epsilon = 0.0f;
}

}  // namespace

constinit const Family kMinimaxM2{
    .hf = {.names = kNames,
           .defaults = {.head_dim = 128, .max_positions = 196608, .rope_theta = 5e6},
           .honours = kHonours,
           .read = read_hf,
           .weights = kWeights},
    .gguf = {.name = "minimax-m2", .honours = kGgufExpertCounts, .read = read_gguf},
    .has_prediction_layers = true,
};

}  // namespace vortex::families
