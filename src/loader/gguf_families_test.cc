// GGUF files of each family, which another program wrote (tests/data/gguf), mean what their config.json means.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loader/gguf.h"
#include "loader/model_config.h"
#include "loader/model_files.h"
#include "loader/rope.h"
#include "loader/testing/model_images.h"
#include "tensor/quant_blocks.h"

namespace vortex {
namespace {

using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Pointwise;

std::unique_ptr<ModelFiles> open(const std::string& path) {
  auto files = ModelFiles::open(VORTEX_SOURCE_DIR "/tests/data/" + path);
  EXPECT_TRUE(files.ok()) << files.error().to_string();
  return files.ok() ? std::move(*files) : nullptr;
}

struct Pair {
  std::unique_ptr<ModelFiles> hf;
  std::unique_ptr<ModelFiles> gguf;
};
Pair open_both(const std::string& name) { return {open("tiny/" + name), open("gguf/" + name + ".gguf")}; }

void expect_same_mixture(const MoeConfig& a, const MoeConfig& b) {
  EXPECT_EQ(a.experts, b.experts);
  EXPECT_EQ(a.experts_per_token, b.experts_per_token);
  EXPECT_EQ(a.intermediate_size, b.intermediate_size);
  EXPECT_EQ(a.shared_experts, b.shared_experts);
  EXPECT_EQ(a.scoring, b.scoring);
  EXPECT_EQ(a.selection_bias, b.selection_bias);
  EXPECT_EQ(a.router_bias, b.router_bias);
  EXPECT_EQ(a.expert_bias, b.expert_bias);
  EXPECT_EQ(a.normalize, b.normalize);
  EXPECT_EQ(a.normalize_epsilon, b.normalize_epsilon);
  EXPECT_EQ(a.routed_scale, b.routed_scale);
  EXPECT_EQ(a.groups, b.groups);
  EXPECT_EQ(a.top_groups, b.top_groups);
  const bool same_score = a.group_score == b.group_score;
  EXPECT_TRUE(a.groups == 1 || same_score);
}

void expect_same_rope(const RopeConfig& a, const RopeConfig& b, int head_dim) {
  EXPECT_EQ(a.rotary_dim, b.rotary_dim);
  EXPECT_EQ(rope_inverse_frequencies(a, head_dim), rope_inverse_frequencies(b, head_dim));
  EXPECT_EQ(rope_attention_scale(a), rope_attention_scale(b));
}

void expect_same_attention(const ModelConfig& a, const ModelConfig& b) {
  EXPECT_EQ(a.heads, b.heads);
  EXPECT_EQ(a.kv_heads, b.kv_heads);
  EXPECT_EQ(a.head_dim, b.head_dim);
  EXPECT_EQ(a.qkv_bias, b.qkv_bias);
  EXPECT_EQ(a.o_bias, b.o_bias);
  EXPECT_EQ(a.qk_norm, b.qk_norm);
  EXPECT_EQ(a.attention_sinks, b.attention_sinks);
  EXPECT_EQ(a.attention_scale, b.attention_scale);
  EXPECT_EQ(a.sliding_window, b.sliding_window);
  EXPECT_EQ(a.layer_types, b.layer_types);
  EXPECT_EQ(a.mla.kv_lora_rank, b.mla.kv_lora_rank);
  EXPECT_EQ(a.mla.q_lora_rank, b.mla.q_lora_rank);
  EXPECT_EQ(a.mla.qk_nope_head_dim, b.mla.qk_nope_head_dim);
  EXPECT_EQ(a.mla.qk_rope_head_dim, b.mla.qk_rope_head_dim);
  EXPECT_EQ(a.mla.v_head_dim, b.mla.v_head_dim);
  expect_same_rope(a.rope, b.rope, a.head_dim);
  ASSERT_EQ(a.sliding_rope.has_value(), b.sliding_rope.has_value());
  if (a.sliding_rope) expect_same_rope(*a.sliding_rope, *b.sliding_rope, a.head_dim);
}

TEST(GgufFamilies, MeanWhatTheirConfigsMean) {
  for (const char* name :
       {"llama", "qwen3_moe", "deepseek_v2", "deepseek_v3-yarn", "glm4_moe", "minimax_m2", "gemma3_text", "gpt_oss"}) {
    SCOPED_TRACE(name);
    const Pair both = open_both(name);
    ASSERT_TRUE(both.hf && both.gguf);
    const ModelConfig &a = both.hf->config(), &b = both.gguf->config();
    EXPECT_EQ(a.vocab_size, b.vocab_size);
    EXPECT_EQ(a.hidden_size, b.hidden_size);
    EXPECT_EQ(a.layers, b.layers);
    EXPECT_EQ(a.rms_norm_eps, b.rms_norm_eps);
    EXPECT_EQ(a.tie_word_embeddings, b.tie_word_embeddings);
    EXPECT_EQ(a.activation, b.activation);
    EXPECT_EQ(a.embedding_scale, b.embedding_scale);
    EXPECT_EQ(a.sandwich_norms, b.sandwich_norms);
    EXPECT_EQ(a.moe_layers, b.moe_layers);
    expect_same_attention(a, b);
    expect_same_mixture(a.moe, b.moe);
  }
}

TEST(GgufFamilies, PairTheDimensionsThatTheirWeightsWerePairedFor) {
  EXPECT_TRUE(open("gguf/llama.gguf")->config().rope.interleaved) << "permuted by the converter";
  EXPECT_TRUE(open("gguf/deepseek_v2.gguf")->config().rope.interleaved);
  for (const char* name : {"qwen3_moe", "glm4_moe", "minimax_m2", "gemma3_text", "gpt_oss"}) {
    EXPECT_FALSE(open(std::string("gguf/") + name + ".gguf")->config().rope.interleaved) << name;
  }
}

std::vector<float> values(ModelFiles& files, const std::string& name, const Shape& shape) {
  const auto view = files.weights().take(name, shape);
  EXPECT_TRUE(view.ok()) << view.error().to_string();
  std::vector<float> out(view.ok() ? static_cast<size_t>(shape.elements()) : 0);
  if (!out.empty()) dequantize(view->dtype, view->data, out.data(), shape.elements());
  return out;
}

TEST(GgufFamilies, ExpertsAreThoseOfTheSafetensors) {
  for (const char* name : {"qwen3_moe", "glm4_moe", "minimax_m2"}) {
    SCOPED_TRACE(name);
    const Pair both = open_both(name);
    for (const char* expert : {"model.layers.1.mlp.experts.0.", "model.layers.2.mlp.experts.7."}) {
      for (const auto& [part, shape] : {std::pair("gate_proj.weight", Shape{32, 64}),
                                        {"up_proj.weight", {32, 64}},
                                        {"down_proj.weight", {64, 32}}}) {
        EXPECT_EQ(values(*both.hf, expert + std::string(part), shape),
                  values(*both.gguf, expert + std::string(part), shape));
      }
    }
  }
}

TEST(GgufFamilies, NormsOfGemmaHaveTheOneAdded) {
  const Pair both = open_both("gemma3_text");
  EXPECT_TRUE(both.hf->config().norm_plus_one);
  EXPECT_FALSE(both.gguf->config().norm_plus_one);
  for (const char* norm :
       {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"}) {
    const std::string name = std::string("model.layers.2.") + norm + ".weight";
    std::vector<float> wanted = values(*both.hf, name, {64});
    for (float& weight : wanted) weight += 1.0f;
    EXPECT_THAT(values(*both.gguf, name, {64}), Pointwise(FloatNear(1e-6f), wanted));
  }
}

/// read_gguf_config of a metadata-only change to a mixture's smallest file.
std::string refusal(const std::string& key, const testing::GgufField& value) {
  testing::GgufImage image = testing::small_llama();
  for (auto& [name, field] : image.metadata) {
    if (name.starts_with("llama.")) name.replace(0, 5, "deepseek2");
  }
  const std::string arch = "deepseek2.";
  image.metadata[0].second = testing::gguf_string("deepseek2");
  image.metadata[6].second = testing::gguf_u32(2);  // head_count_kv
  for (const auto& [name, number] : {std::pair("attention.kv_lora_rank", 8),
                                     {"rope.dimension_count", 4},
                                     {"attention.key_length", 12},
                                     {"attention.value_length", 8},
                                     {"expert_count", 4},
                                     {"expert_used_count", 2},
                                     {"expert_feed_forward_length", 16}}) {
    if (name != key) image.metadata.push_back({arch + name, testing::gguf_u32(static_cast<uint32_t>(number))});
  }
  if (!value.payload.empty()) image.metadata.push_back({arch + key, value});
  const std::string bytes = image.build();
  auto file = GgufFile::parse(testing::as_bytes(bytes), "m.gguf");
  EXPECT_TRUE(file.ok()) << file.error().to_string();
  const auto config = read_gguf_config(**file);
  return config.ok() ? "parsed" : config.error().to_string();
}

TEST(GgufFamilies, RefuseByName) {
  using testing::gguf_u32;
  EXPECT_EQ(refusal("expert_gating_func", gguf_u32(1)), "parsed");
  EXPECT_THAT(refusal("expert_gating_func", gguf_u32(4)), HasSubstr("unknown deepseek2.expert_gating_func 4"));
  EXPECT_THAT(refusal("expert_group_count", gguf_u32(3)), HasSubstr("4 experts are no multiple of 3 groups"));
  EXPECT_THAT(refusal("expert_used_count", gguf_u32(5)), HasSubstr("sends a token to 5 of 4 experts"));
  EXPECT_THAT(refusal("expert_count", {}), HasSubstr("deepseek2.expert_count is missing"));
  EXPECT_THAT(refusal("attention.kv_lora_rank", gguf_u32(0)), HasSubstr("attention.kv_lora_rank is 0"));
  EXPECT_THAT(refusal("attention.key_length", gguf_u32(4)), HasSubstr("attention.key_length is 4, possible are 5"));
  EXPECT_THAT(refusal("attention.key_length_mla", gguf_u32(12)), HasSubstr("2 kv heads of 2 with latent attention"));
  EXPECT_THAT(refusal("attention.scale", testing::gguf_f32(0.5f)), HasSubstr("attention.scale changes the model"));
}

}  // namespace
}  // namespace vortex
