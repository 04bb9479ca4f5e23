// What config.json of each family means: the tiny models', and real ones by their published numbers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "loader/mmap_file.h"
#include "loader/model_config.h"

namespace vortex {
namespace {

using nlohmann::json;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kFull = LayerType::kFullAttention;
constexpr auto kSliding = LayerType::kSlidingAttention;

json document(const std::string& path) {
  auto text = read_text_file(VORTEX_SOURCE_DIR "/" + path + "/config.json", 1 << 20);
  EXPECT_TRUE(text.ok());
  return json::parse(*text);
}
json tiny(const std::string& name) { return document("tests/data/tiny/" + name); }
json real(const std::string& name) { return document("models/configs/" + name); }

ModelConfig parse(const json& config) {
  auto parsed = parse_hf_config(config.dump(), "config.json");
  EXPECT_TRUE(parsed.ok()) << parsed.error().to_string();
  return parsed.ok() ? *parsed : ModelConfig();
}

/// The error of a config with changes; null removes a field.
std::string refusal(json config, const json& changes) {
  config.merge_patch(changes);
  const auto parsed = parse_hf_config(config.dump(), "config.json");
  return parsed.ok() ? "parsed" : parsed.error().to_string();
}

void expect_noaux_router(const MoeConfig& moe) {
  EXPECT_EQ(moe.scoring, MoeConfig::Scoring::kSigmoid);
  EXPECT_EQ(moe.group_score, MoeConfig::GroupScore::kTop2Sum);
  EXPECT_TRUE(moe.selection_bias);
  EXPECT_TRUE(moe.normalize);
  EXPECT_EQ(moe.normalize_epsilon, 1e-20f);
  EXPECT_FALSE(moe.router_bias);
  EXPECT_FALSE(moe.expert_bias);
}

TEST(HfFamilies, Qwen3Moe) {
  const ModelConfig config = parse(tiny("qwen3_moe"));
  EXPECT_EQ(config.architecture, "Qwen3MoeForCausalLM");
  EXPECT_EQ(config.moe.experts, 8);
  EXPECT_EQ(config.moe.experts_per_token, 2);
  EXPECT_EQ(config.moe.intermediate_size, 32);
  EXPECT_EQ(config.moe.shared_experts, 0);
  EXPECT_EQ(config.moe.scoring, MoeConfig::Scoring::kSoftmax);
  EXPECT_TRUE(config.moe.normalize);
  EXPECT_EQ(config.moe.normalize_epsilon, 0.0f);
  EXPECT_FALSE(config.moe.selection_bias);
  EXPECT_THAT(config.moe_layers, ElementsAre(true, true, true));
  EXPECT_EQ(config.qk_norm, QkNorm::kHead);
  EXPECT_THAT(config.layer_types, Each(kFull));

  json every_second = tiny("qwen3_moe");
  every_second.update({{"decoder_sparse_step", 2}});
  EXPECT_THAT(parse(every_second).moe_layers, ElementsAre(false, true, false));
  every_second.update({{"decoder_sparse_step", 1}, {"mlp_only_layers", {0, 2}}, {"norm_topk_prob", nullptr}});
  EXPECT_THAT(parse(every_second).moe_layers, ElementsAre(false, true, false));
  EXPECT_FALSE(parse(every_second).moe.normalize) << "transformers' default";
}

TEST(HfFamilies, Qwen3Of600MillionHasHeadsWiderThanItsState) {
  const ModelConfig config = parse(real("qwen3-0.6b"));
  EXPECT_EQ(config.layers, 28);
  EXPECT_EQ(config.heads * config.head_dim, 2 * config.hidden_size);
  EXPECT_TRUE(config.tie_word_embeddings);
}

TEST(HfFamilies, Qwen3Moe30B) {
  const ModelConfig config = parse(real("qwen3-30b-a3b"));
  EXPECT_EQ(config.moe.experts, 128);
  EXPECT_EQ(config.moe.experts_per_token, 8);
  EXPECT_EQ(config.moe.intermediate_size, 768);
  EXPECT_EQ(config.head_dim, 128);
  EXPECT_EQ(config.rope.theta, 1e6);
  EXPECT_EQ(config.sliding_window, 0);
  EXPECT_EQ(config.moe_layers.size(), 48u);
}

TEST(HfFamilies, DeepseekV2) {
  const ModelConfig config = parse(tiny("deepseek_v2"));
  EXPECT_EQ(config.kv_heads, 1) << "to cache and planner";
  EXPECT_EQ(config.head_dim, 576);
  EXPECT_EQ(config.heads, 4);
  EXPECT_EQ(config.mla.kv_lora_rank, 512);
  EXPECT_EQ(config.mla.q_lora_rank, 0);
  EXPECT_EQ(config.mla.qk_nope_head_dim, 32);
  EXPECT_EQ(config.mla.qk_rope_head_dim, 64);
  EXPECT_EQ(config.mla.v_head_dim, 32);
  EXPECT_FLOAT_EQ(config.attention_scale, 1.0f / std::sqrt(96.0f));
  EXPECT_TRUE(config.rope.interleaved);
  EXPECT_EQ(config.rope.rotary_dim, 64);
  EXPECT_EQ(config.moe.scoring, MoeConfig::Scoring::kSoftmax);
  EXPECT_EQ(config.moe.shared_experts, 2);
  EXPECT_EQ(config.moe.groups, 1);
  EXPECT_FALSE(config.moe.normalize);
  EXPECT_FALSE(config.moe.selection_bias);
  EXPECT_THAT(config.moe_layers, ElementsAre(false, true, true));

  json grouped = tiny("deepseek_v2");
  grouped.update({{"topk_method", "group_limited_greedy"}, {"n_group", 4}, {"topk_group", 2}});
  EXPECT_EQ(parse(grouped).moe.groups, 4);
  EXPECT_EQ(parse(grouped).moe.top_groups, 2);
  EXPECT_EQ(parse(grouped).moe.group_score, MoeConfig::GroupScore::kMax);
}

TEST(HfFamilies, DeepseekV3) {
  const ModelConfig config = parse(tiny("deepseek_v3"));
  EXPECT_EQ(config.mla.q_lora_rank, 48);
  expect_noaux_router(config.moe);
  EXPECT_EQ(config.moe.groups, 4);
  EXPECT_EQ(config.moe.top_groups, 2);
  EXPECT_EQ(config.moe.routed_scale, 1.5f);
  EXPECT_EQ(config.moe.shared_experts, 1);
  EXPECT_TRUE(config.rope.interleaved);
  EXPECT_THAT(config.eos_ids, ElementsAre(1));
  const double mscale = 0.1 * std::log(40.0) + 1.0;
  const ModelConfig yarn = parse(tiny("deepseek_v3-yarn"));
  EXPECT_FLOAT_EQ(yarn.attention_scale, static_cast<float>(mscale * mscale / std::sqrt(96.0)));
  EXPECT_EQ(yarn.rope.original_max_position, 128);
}

TEST(HfFamilies, DeepseekV3Real) {
  const ModelConfig config = parse(real("deepseek-v3"));
  EXPECT_EQ(config.heads, 128);
  EXPECT_EQ(config.head_dim, 576);
  EXPECT_EQ(config.mla.q_lora_rank, 1536);
  EXPECT_EQ(config.moe.experts, 256);
  EXPECT_EQ(config.moe.groups, 8);
  EXPECT_EQ(config.moe.top_groups, 4);
  EXPECT_EQ(config.moe.routed_scale, 2.5f);
  EXPECT_EQ(std::count(config.moe_layers.begin(), config.moe_layers.end(), true), 58);
  EXPECT_EQ(config.rope.factor, 40.0);
  EXPECT_EQ(config.rope.original_max_position, 4096);
  EXPECT_FLOAT_EQ(config.attention_scale, 0.1352337788608801f);
}

TEST(HfFamilies, KimiIsOfDeepseekV3sForm) {
  json kimi = real("deepseek-v3");
  kimi.update({{"model_type", "kimi_k2"},
               {"num_attention_heads", 64},
               {"num_key_value_heads", 64},
               {"n_routed_experts", 384},
               {"n_group", 1},
               {"topk_group", 1},
               {"first_k_dense_replace", 1},
               {"routed_scaling_factor", 2.827}});
  EXPECT_EQ(parse(kimi).moe.experts, 384);
  EXPECT_EQ(parse(kimi).moe_layers[1], true);
  kimi.erase("architectures");
  EXPECT_EQ(parse(kimi).architecture, "DeepseekV3ForCausalLM");
}

TEST(HfFamilies, RecallMlaIsOfTheOldForm) {
  const ModelConfig config = parse(document("models/recall-mla"));
  EXPECT_FALSE(config.rope.interleaved);
  EXPECT_EQ(config.rope.theta, 1e6);
  EXPECT_EQ(config.rope.rotary_dim, 64);
  EXPECT_EQ(config.mla.q_lora_rank, 0);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_EQ(config.stored_dtype, DType::kBF16);
  EXPECT_EQ(config.moe_layers.size(), 6u);
  EXPECT_FALSE(config.moe_layers[0]);
}

TEST(HfFamilies, Glm4MoeLite) {
  const ModelConfig config = parse(tiny("glm4_moe_lite"));
  EXPECT_EQ(config.head_dim, 576);
  expect_noaux_router(config.moe);
  EXPECT_EQ(config.moe.routed_scale, 1.5f);
  EXPECT_THAT(config.moe_layers, ElementsAre(false, true, true));
  EXPECT_TRUE(config.rope.interleaved);

  const ModelConfig flash = parse(real("glm-4.7-flash"));
  EXPECT_EQ(flash.layers, 47);
  EXPECT_EQ(flash.heads, 20);
  EXPECT_EQ(flash.mla.q_lora_rank, 768);
  EXPECT_EQ(flash.mla.qk_nope_head_dim, 192);
  EXPECT_EQ(flash.mla.v_head_dim, 256);
  EXPECT_EQ(flash.moe.experts_per_token, 4);
  EXPECT_EQ(flash.moe.routed_scale, 1.8f);
  EXPECT_FALSE(flash.moe_layers[0]);
  EXPECT_TRUE(flash.moe_layers[1]);
  EXPECT_FLOAT_EQ(flash.attention_scale, 1.0f / 16.0f);
}

TEST(HfFamilies, Glm4Moe) {
  const ModelConfig config = parse(tiny("glm4_moe"));
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_FALSE(config.o_bias);
  EXPECT_EQ(config.qk_norm, QkNorm::kHead);
  EXPECT_EQ(config.head_dim, 32);
  EXPECT_EQ(config.rope.rotary_dim, 16);
  EXPECT_FALSE(config.rope.interleaved);
  EXPECT_EQ(config.mla.kv_lora_rank, 0);
  expect_noaux_router(config.moe);
  EXPECT_THAT(config.moe_layers, ElementsAre(false, true, true));
  json silent = tiny("glm4_moe");
  silent.erase("partial_rotary_factor");
  silent["rope_parameters"].erase("partial_rotary_factor");
  silent.erase("use_qk_norm");
  EXPECT_EQ(parse(silent).rope.rotary_dim, 16) << "half of a head is transformers' default";
  EXPECT_EQ(parse(silent).qk_norm, QkNorm::kNone);
}

TEST(HfFamilies, MinimaxM2) {
  const ModelConfig config = parse(tiny("minimax_m2"));
  EXPECT_EQ(config.qk_norm, QkNorm::kAll);
  EXPECT_EQ(config.moe.intermediate_size, 32);
  EXPECT_EQ(config.moe.scoring, MoeConfig::Scoring::kSigmoid);
  EXPECT_TRUE(config.moe.selection_bias);
  EXPECT_TRUE(config.moe.normalize);
  EXPECT_EQ(config.moe.normalize_epsilon, 0.0f);
  EXPECT_EQ(config.moe.groups, 1);
  EXPECT_EQ(config.rope.rotary_dim, 32);
  EXPECT_EQ(config.rope.theta, 5e6);
  EXPECT_THAT(config.moe_layers, Each(true));
  EXPECT_THAT(config.eos_ids, IsEmpty()) << "outside the tiny vocabulary";

  const ModelConfig m2 = parse(real("minimax-m2"));
  EXPECT_EQ(m2.layers, 62);
  EXPECT_EQ(m2.head_dim, 128);
  EXPECT_EQ(m2.rope.rotary_dim, 64);
  EXPECT_EQ(m2.moe.experts, 256);
  EXPECT_EQ(m2.moe.intermediate_size, 1536);
}

TEST(HfFamilies, Gemma3) {
  const ModelConfig config = parse(tiny("gemma3_text"));
  EXPECT_EQ(config.activation, Activation::kGeluTanh);
  EXPECT_EQ(config.embedding_scale, 8.0f);
  EXPECT_EQ(config.attention_scale, 1.0f / 16.0f);
  EXPECT_TRUE(config.norm_plus_one);
  EXPECT_TRUE(config.sandwich_norms);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_EQ(config.qk_norm, QkNorm::kHead);
  EXPECT_EQ(config.sliding_window, 64);
  EXPECT_THAT(config.layer_types, ElementsAre(kSliding, kSliding, kFull));
  EXPECT_EQ(config.rope.theta, 1e6);
  ASSERT_TRUE(config.sliding_rope);
  EXPECT_EQ(config.sliding_rope->theta, 1e4);
  EXPECT_EQ(config.sliding_rope->rotary_dim, 32);
}

TEST(HfFamilies, Gemma3OfTheOldForm) {
  json old = real("gemma-3-270m");
  const ModelConfig config = parse(old);
  EXPECT_EQ(config.head_dim, 256);
  EXPECT_EQ(config.kv_heads, 1);
  EXPECT_EQ(config.sliding_window, 512);
  EXPECT_EQ(std::count(config.layer_types.begin(), config.layer_types.end(), kFull), 3);
  EXPECT_EQ(config.layer_types[5], kFull);
  EXPECT_EQ(config.rope.theta, 1e6);
  EXPECT_EQ(config.sliding_rope->theta, 1e4);
  old.erase("layer_types");
  old.update({{"sliding_window_pattern", 3},
              {"rope_local_base_freq", 5000.0},
              {"rope_scaling", {{"rope_type", "linear"}, {"factor", 8.0}}}});
  const ModelConfig scaled = parse(old);
  EXPECT_EQ(scaled.layer_types[2], kFull);
  EXPECT_EQ(scaled.layer_types[5], kFull);
  EXPECT_EQ(scaled.layer_types[4], kSliding);
  EXPECT_EQ(scaled.rope.variant, RopeConfig::Variant::kLinear);
  EXPECT_EQ(scaled.rope.factor, 8.0);
  EXPECT_EQ(scaled.sliding_rope->variant, RopeConfig::Variant::kDefault) << "only full layers are stretched";
  EXPECT_EQ(scaled.sliding_rope->theta, 5000.0);
  old.update({{"max_position_embeddings", 256}});
  EXPECT_EQ(parse(old).layer_types[4], kSliding) << "its rope differs, even where its window reaches everything";
}

TEST(HfFamilies, GptOss) {
  const ModelConfig config = parse(tiny("gpt_oss"));
  EXPECT_EQ(config.activation, Activation::kClampedSwiglu);
  EXPECT_TRUE(config.attention_sinks);
  EXPECT_TRUE(config.qkv_bias);
  EXPECT_TRUE(config.o_bias);
  EXPECT_TRUE(config.moe.router_bias);
  EXPECT_TRUE(config.moe.expert_bias);
  EXPECT_EQ(config.moe.scoring, MoeConfig::Scoring::kTopKSoftmax);
  EXPECT_EQ(config.moe.intermediate_size, 32);
  EXPECT_THAT(config.layer_types, ElementsAre(kSliding, kFull, kSliding));
  EXPECT_EQ(config.rope.variant, RopeConfig::Variant::kYarn);
  EXPECT_FALSE(config.rope.truncate);
  EXPECT_FALSE(config.sliding_rope);

  json real_one = real("gpt-oss-20b");
  const ModelConfig config20 = parse(real_one);
  EXPECT_EQ(config20.moe.experts, 32);
  EXPECT_EQ(config20.moe.experts_per_token, 4);
  EXPECT_EQ(config20.sliding_window, 128);
  EXPECT_EQ(config20.rope.theta, 150000.0);
  real_one.erase("layer_types");
  EXPECT_EQ(parse(real_one).layer_types, config20.layer_types) << "every other layer slides";
}

TEST(HfFamilies, RefuseRoutersByName) {
  EXPECT_THAT(refusal(tiny("deepseek_v3"), {{"scoring_func", "softmax"}}),
              HasSubstr("unknown scoring_func 'softmax' (supported: sigmoid)"));
  EXPECT_THAT(refusal(tiny("deepseek_v3"), {{"topk_method", "greedy"}}),
              HasSubstr("unknown topk_method 'greedy' (supported: noaux_tc)"));
  EXPECT_THAT(refusal(tiny("deepseek_v2"), {{"scoring_func", "sigmoid"}}), HasSubstr("unknown scoring_func 'sigmoid'"));
  EXPECT_THAT(refusal(tiny("deepseek_v2"), {{"topk_method", "noaux_tc"}}),
              HasSubstr("unknown topk_method 'noaux_tc' (supported: greedy, group_limited_greedy)"));
  EXPECT_THAT(refusal(tiny("deepseek_v2"), {{"norm_topk_prob", true}}),
              HasSubstr("norm_topk_prob is true, only false is run"));
  EXPECT_THAT(refusal(tiny("glm4_moe"), {{"scoring_func", "tanh"}}), HasSubstr("unknown scoring_func 'tanh'"));
  EXPECT_THAT(refusal(tiny("minimax_m2"), {{"scoring_func", "softmax"}}), HasSubstr("unknown scoring_func 'softmax'"));
  EXPECT_THAT(refusal(tiny("minimax_m2"), {{"use_routing_bias", false}}),
              HasSubstr("use_routing_bias is false, only true is run"));
  EXPECT_THAT(refusal(tiny("minimax_m2"), {{"shared_intermediate_size", 64}}),
              HasSubstr("shared_intermediate_size changes the model"));
  EXPECT_THAT(refusal(tiny("glm4_moe_lite"), {{"mlp_layer_types", {"dense", "sparse", "linear"}}}),
              HasSubstr("unknown mlp layer type 'linear' (supported: dense, sparse)"));
  EXPECT_THAT(refusal(tiny("glm4_moe_lite"), {{"mlp_layer_types", {"dense"}}}),
              HasSubstr("mlp_layer_types names 1 of 3 layers"));
}

TEST(HfFamilies, RefuseOtherSettingsByName) {
  EXPECT_THAT(refusal(tiny("gpt_oss"), {{"swiglu_limit", 5.0}}), HasSubstr("swiglu_limit is 5, only 7 is run"));
  EXPECT_THAT(refusal(tiny("gpt_oss"), {{"quantization_config", {{"quant_method", "mxfp4"}}}}),
              HasSubstr("quantization_config changes the model"));
  EXPECT_THAT(refusal(tiny("gpt_oss"), {{"rope_parameters", nullptr}}), HasSubstr("rope_scaling is missing"));
  EXPECT_THAT(refusal(tiny("deepseek_v3"), {{"attention_bias", true}}),
              HasSubstr("attention_bias is true, only false is run"));
  EXPECT_THAT(refusal(tiny("deepseek_v3"), {{"num_key_value_heads", 2}}), HasSubstr("2 kv heads of 4 with latent"));
  EXPECT_THAT(refusal(tiny("deepseek_v3"), {{"partial_rotary_factor", 0.5}}), HasSubstr("rotates 32 of 64 rope dim"));
  EXPECT_THAT(refusal(tiny("deepseek_v3"), {{"rope_parameters", {{"rope_type", "dynamic"}}}}),
              HasSubstr("unknown rope_type 'dynamic'"));
  EXPECT_THAT(refusal(tiny("minimax_m2"), {{"qk_norm_type", "per_head"}}),
              HasSubstr("unknown qk_norm_type 'per_head'"));
  EXPECT_THAT(refusal(tiny("minimax_m2"), {{"attn_type_list", {1, 0, 1}}}), HasSubstr("attn_type_list names another"));
  EXPECT_THAT(refusal(tiny("gemma3_text"), {{"final_logit_softcapping", 30.0}}),
              HasSubstr("final_logit_softcapping changes"));
  EXPECT_THAT(refusal(tiny("gemma3_text"), {{"use_bidirectional_attention", true}}), HasSubstr("use_bidirectional"));
  EXPECT_THAT(refusal(tiny("gemma3_text"), {{"hidden_activation", "gelu"}}), HasSubstr("unknown hidden_activation"));
  EXPECT_THAT(refusal(tiny("gemma3_text"), {{"rope_parameters", {{"chunked_attention", {{"rope_theta", 2.0}}}}}}),
              HasSubstr("rope_parameters differs by layer type ('chunked_attention')"));
  EXPECT_THAT(refusal(tiny("gemma3_text"), {{"architectures", {"Gemma3ForConditionalGeneration"}}}),
              HasSubstr("unknown architecture 'Gemma3ForConditionalGeneration'"));
}

TEST(HfFamilies, BoundEveryNumber) {
  const json v3 = tiny("deepseek_v3");
  EXPECT_THAT(refusal(v3, {{"n_group", 3}}), HasSubstr("8 experts are no multiple of 3 groups"));
  EXPECT_THAT(refusal(v3, {{"topk_group", 5}}), HasSubstr("chooses 5 of 4 groups"));
  EXPECT_THAT(refusal(v3, {{"n_group", 8}}), HasSubstr("scores groups of one expert by their two best"));
  EXPECT_THAT(refusal(v3, {{"num_experts_per_tok", 5}}), HasSubstr("sends a token to 5 of 4 experts"));
  EXPECT_THAT(refusal(v3, {{"n_group", 0}}), HasSubstr("n_group is 0"));
  EXPECT_THAT(refusal(v3, {{"n_routed_experts", 1 << 20}}), HasSubstr("n_routed_experts is 1048576"));
  EXPECT_THAT(refusal(v3, {{"n_routed_experts", nullptr}}), HasSubstr("the number of experts is missing"));
  EXPECT_THAT(refusal(v3, {{"num_local_experts", 16}}), HasSubstr("names both 16 and 8 experts"));
  EXPECT_THAT(refusal(v3, {{"moe_intermediate_size", 1 << 20}, {"n_shared_experts", 1 << 10}}),
              HasSubstr("1024 shared experts of 1048576 are too wide"));
  EXPECT_THAT(refusal(v3, {{"kv_lora_rank", nullptr}}), HasSubstr("kv_lora_rank is missing"));
  EXPECT_THAT(refusal(v3, {{"kv_lora_rank", 1 << 20}}), HasSubstr("kv_lora_rank is 1048576"));
  EXPECT_THAT(refusal(v3, {{"kv_lora_rank", 4096}}), HasSubstr("a latent of 4160"));
  EXPECT_THAT(refusal(v3, {{"moe_layer_freq", 0}}), HasSubstr("moe_layer_freq is 0"));
  EXPECT_THAT(refusal(tiny("qwen3_moe"), {{"decoder_sparse_step", 0}}), HasSubstr("decoder_sparse_step is 0"));
  EXPECT_THAT(refusal(tiny("qwen3_moe"), {{"mlp_only_layers", {-1}}}), HasSubstr("mlp_only_layers is -1"));
  EXPECT_THAT(refusal(tiny("qwen3_moe"), {{"mlp_only_layers", {"x"}}}), HasSubstr("is no list of whole numbers"));
  EXPECT_THAT(refusal(tiny("gemma3_text"), {{"query_pre_attn_scalar", 0}}), HasSubstr("query_pre_attn_scalar is 0"));
  EXPECT_THAT(refusal(tiny("gemma3_text"), {{"layer_types", nullptr}, {"sliding_window_pattern", 0}}),
              HasSubstr("sliding_window_pattern is 0"));
  EXPECT_THAT(refusal(tiny("minimax_m2"), {{"rotary_dim", 33}}), HasSubstr("rotates 33 of 32"));
}

}  // namespace
}  // namespace vortex
