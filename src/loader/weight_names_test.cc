#include "loader/weight_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "loader/families/family.h"

namespace vortex {
namespace {

using ::testing::HasSubstr;

alignas(8) constexpr std::byte kMemory[4096] = {};

NamedTensor tensor(std::string name, Shape shape = {2}) { return {std::move(name), {kMemory, DType::kF32, shape}}; }

ModelConfig config_of(int layers, int experts = 0) {
  ModelConfig config;
  config.layers = layers;
  config.moe.experts = experts;
  return config;
}

/// Our name of one GGUF tensor, if it has one.
bool gguf_becomes(const char* family, const char* theirs, std::string_view ours) {
  WeightMap map;
  const NamedTensor one[] = {tensor(theirs)};
  EXPECT_TRUE(add_gguf_weights(one, *find_gguf_family(family), config_of(100), &map).ok());
  return map.contains(ours);
}

TEST(WeightNames, MapGgufToHuggingFace) {
  EXPECT_TRUE(gguf_becomes("llama", "token_embd.weight", "model.embed_tokens.weight"));
  EXPECT_TRUE(gguf_becomes("llama", "output_norm.weight", "model.norm.weight"));
  EXPECT_TRUE(gguf_becomes("llama", "output.weight", "lm_head.weight"));
  EXPECT_TRUE(gguf_becomes("llama", "blk.12.attn_q.weight", "model.layers.12.self_attn.q_proj.weight"));
  EXPECT_TRUE(gguf_becomes("qwen2", "blk.0.attn_k.bias", "model.layers.0.self_attn.k_proj.bias"));
  EXPECT_TRUE(gguf_becomes("qwen3", "blk.3.attn_k_norm.weight", "model.layers.3.self_attn.k_norm.weight"));
  EXPECT_TRUE(gguf_becomes("llama", "blk.3.attn_output.weight", "model.layers.3.self_attn.o_proj.weight"));
  EXPECT_TRUE(gguf_becomes("llama", "blk.3.ffn_norm.weight", "model.layers.3.post_attention_layernorm.weight"));
  EXPECT_TRUE(gguf_becomes("llama", "blk.3.ffn_down.weight", "model.layers.3.mlp.down_proj.weight"));
  for (const char* unknown :
       {"blk.x.attn_q.weight", "blk..attn_q.weight", "blk.1.weight", "blk.1.ssm_a.weight", "blk.1.attn_q.scale",
        "blk.123456.attn_q.weight", "blk.-1.attn_q.weight", "rope.weight"}) {
    EXPECT_TRUE(gguf_becomes("llama", unknown, unknown));
  }
}

TEST(WeightNames, MapMinimaxExperts) {
  const NamedTensor tensors[] = {tensor("model.layers.1.block_sparse_moe.gate.weight"),
                                 tensor("model.layers.1.block_sparse_moe.e_score_correction_bias"),
                                 tensor("model.layers.1.block_sparse_moe.experts.17.w1.weight"),
                                 tensor("model.layers.1.block_sparse_moe.experts.17.w2.weight"),
                                 tensor("model.layers.1.block_sparse_moe.experts.17.w3.weight"),
                                 tensor("model.layers.1.block_sparse_moe.experts.x.w3.weight"),
                                 tensor("model.layers.1.input_layernorm.weight")};
  WeightMap map;
  ASSERT_TRUE(add_hf_weights(tensors, *find_hf_family("minimax_m2"), config_of(2), &map).ok());
  for (const char* ours : {"mlp.gate.weight", "mlp.gate.e_score_correction_bias", "mlp.experts.17.gate_proj.weight",
                           "mlp.experts.17.down_proj.weight", "mlp.experts.17.up_proj.weight", "input_layernorm.weight",
                           "block_sparse_moe.experts.x.w3.weight"}) {
    EXPECT_TRUE(map.contains(std::string("model.layers.1.") + ours)) << ours;
  }
}

TEST(WeightNames, SplitStackedExperts) {
  const NamedTensor tensors[] = {tensor("blk.0.ffn_gate_exps.weight", {3, 4, 5}),
                                 tensor("blk.0.ffn_gate_exps.bias", {3, 4}), tensor("blk.0.attn_k_b.weight", {2, 4, 3}),
                                 tensor("blk.0.exp_probs_b.bias", {3}), tensor("blk.0.attn_sinks.weight", {2})};
  WeightMap map;
  ASSERT_TRUE(add_gguf_weights(tensors, *find_gguf_family("gpt-oss"), config_of(1, 3), &map).ok());
  const std::string layer = "model.layers.0.";
  for (int e : {0, 2}) {
    const std::string expert = fmt::format("{}mlp.experts.{}.gate_proj.", layer, e);
    EXPECT_EQ(map.take(expert + "weight", {4, 5})->data, kMemory + e * 20 * 4);
    EXPECT_EQ(map.take(expert + "bias", {4})->data, kMemory + e * 4 * 4);
  }
  EXPECT_TRUE(map.take(layer + "self_attn.k_b_proj.weight", {2, 4, 3}).ok()) << "heads stay together";
  EXPECT_TRUE(map.contains(layer + "mlp.gate.e_score_correction_bias"));
  EXPECT_TRUE(map.contains(layer + "self_attn.sinks"));
  EXPECT_THAT(add_gguf_weights(tensors, *find_gguf_family("gpt-oss"), config_of(1, 4), &map).error().to_string(),
              HasSubstr("stacked tensor has shape [3, 4, 5], the config asks for 4 experts"));
}

TEST(WeightNames, NormsOfGgufGoWhereTheFamilyPutsThem) {
  EXPECT_TRUE(
      gguf_becomes("gemma3", "blk.1.post_attention_norm.weight", "model.layers.1.post_attention_layernorm.weight"));
  EXPECT_TRUE(gguf_becomes("gemma3", "blk.1.ffn_norm.weight", "model.layers.1.pre_feedforward_layernorm.weight"));
  EXPECT_TRUE(gguf_becomes("gemma3", "blk.1.post_ffw_norm.weight", "model.layers.1.post_feedforward_layernorm.weight"));
  EXPECT_TRUE(
      gguf_becomes("glm4moe", "blk.1.post_attention_norm.weight", "model.layers.1.post_attention_layernorm.weight"));
}

TEST(WeightNames, LeaveOutLayersThatPredictFurtherTokens) {
  const NamedTensor tensors[] = {tensor("model.layers.1.input_layernorm.weight"),
                                 tensor("model.layers.2.eh_proj.weight"),
                                 tensor("model.layers.2.input_layernorm.weight")};
  WeightMap map;
  EXPECT_EQ(*add_hf_weights(tensors, *find_hf_family("deepseek_v3"), config_of(2), &map), 2);
  EXPECT_TRUE(map.contains("model.layers.1.input_layernorm.weight"));
  EXPECT_FALSE(map.contains("model.layers.2.input_layernorm.weight"));
  WeightMap llama;
  EXPECT_EQ(*add_hf_weights(tensors, *find_hf_family("llama"), config_of(2), &llama), 0);
  EXPECT_TRUE(llama.contains("model.layers.2.input_layernorm.weight")) << "finish() will refuse it";
}

TEST(Families, AreFoundByEveryName) {
  EXPECT_EQ(find_hf_family("kimi_k2"), find_hf_family("DeepseekV3ForCausalLM"));
  EXPECT_EQ(find_hf_family("gemma3"), nullptr) << "that is the one with images";
  EXPECT_EQ(find_hf_family(""), nullptr);
  EXPECT_EQ(find_gguf_family(""), nullptr);
  EXPECT_THAT(supported_architectures(), HasSubstr("LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM"));
  EXPECT_THAT(supported_architectures(),
              HasSubstr("GptOssForCausalLM; in GGUF llama, qwen2, qwen3, qwen3moe, deepseek2"));
}

}  // namespace
}  // namespace vortex
