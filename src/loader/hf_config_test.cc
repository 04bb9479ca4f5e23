#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "loader/mmap_file.h"
#include "loader/model_config.h"

namespace vortex {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

ModelConfig tiny(const std::string& name) {
  const std::string path = VORTEX_SOURCE_DIR "/tests/data/tiny/" + name + "/config.json";
  auto text = read_text_file(path, 1 << 20);
  auto config = parse_hf_config(*text, path);
  EXPECT_TRUE(config.ok()) << config.error().to_string();
  return config.ok() ? *config : ModelConfig();
}

TEST(HfConfig, ReadsTheTinyModels) {
  for (const char* name : {"llama", "llama3-rope", "mistral", "qwen2", "qwen3", "qwen3-yarn"}) {
    SCOPED_TRACE(name);
    const ModelConfig config = tiny(name);
    EXPECT_EQ(config.vocab_size, 512);
    EXPECT_EQ(config.hidden_size, 64);
    EXPECT_EQ(config.intermediate_size, 128);
    EXPECT_EQ(config.layers, 3);
    EXPECT_EQ(config.heads, 4);
    EXPECT_EQ(config.kv_heads, 2);
    EXPECT_EQ(config.rms_norm_eps, 1e-6f);
    EXPECT_EQ(config.max_position_embeddings, 4096);
    EXPECT_EQ(config.stored_dtype, DType::kF32);
    EXPECT_EQ(config.sliding_window, 0);
    EXPECT_EQ(config.layer_types.size(), 3u);
    EXPECT_THAT(config.layer_types, Each(LayerType::kFullAttention));
    EXPECT_FALSE(config.o_bias);
    EXPECT_FALSE(config.mlp_bias);
    EXPECT_FALSE(config.rope.interleaved);
    EXPECT_EQ(config.rope.rotary_dim, config.head_dim);
  }
}

TEST(HfConfig, ReadsWhatTellsTheFamiliesApart) {
  const ModelConfig llama = tiny("llama");
  EXPECT_EQ(llama.architecture, "LlamaForCausalLM");
  EXPECT_EQ(llama.head_dim, 16);
  EXPECT_EQ(llama.rope.theta, 500000.0);
  EXPECT_FALSE(llama.tie_word_embeddings);
  EXPECT_THAT(llama.bos_ids, ElementsAre(1));
  EXPECT_THAT(llama.eos_ids, ElementsAre(2));

  EXPECT_TRUE(tiny("llama3-rope").tie_word_embeddings);

  const ModelConfig qwen2 = tiny("qwen2");
  EXPECT_EQ(qwen2.head_dim, 16) << "hidden_size / heads when the file is silent";
  EXPECT_TRUE(qwen2.qkv_bias);
  EXPECT_EQ(qwen2.qk_norm, QkNorm::kNone);
  EXPECT_TRUE(qwen2.tie_word_embeddings);
  EXPECT_THAT(qwen2.eos_ids, IsEmpty());

  const ModelConfig qwen3 = tiny("qwen3");
  EXPECT_EQ(qwen3.head_dim, 32);
  EXPECT_FALSE(qwen3.qkv_bias);
  EXPECT_EQ(qwen3.qk_norm, QkNorm::kHead);
}

TEST(HfConfig, ReadsRopeOfTheNewForm) {
  const RopeConfig llama3 = tiny("llama3-rope").rope;
  EXPECT_EQ(llama3.variant, RopeConfig::Variant::kLlama3);
  EXPECT_EQ(llama3.factor, 8.0);
  EXPECT_EQ(llama3.low_freq_factor, 1.0);
  EXPECT_EQ(llama3.high_freq_factor, 4.0);
  EXPECT_EQ(llama3.original_max_position, 256);
  const RopeConfig yarn = tiny("qwen3-yarn").rope;
  EXPECT_EQ(yarn.variant, RopeConfig::Variant::kYarn);
  EXPECT_EQ(yarn.theta, 1000000.0);
  EXPECT_EQ(yarn.factor, 4.0);
  EXPECT_EQ(yarn.original_max_position, 128);
  EXPECT_EQ(yarn.attention_factor, std::nullopt);
  EXPECT_TRUE(yarn.truncate);
}

json base_config() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"vocab_size", 64},
          {"hidden_size", 32},
          {"intermediate_size", 64},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"max_position_embeddings", 4096}};
}

Result<ModelConfig> parse_with(const json& changes) {
  json config = base_config();
  config.update(changes);
  return parse_hf_config(config.dump(), "config.json");
}

std::string refusal(const json& changes) {
  const auto config = parse_with(changes);
  return config.ok() ? "parsed" : config.error().to_string();
}

TEST(HfConfig, ReadsTheOldForm) {
  const auto config = parse_with({{"rope_theta", 1e6},
                                  {"rope_scaling", {{"type", "yarn"}, {"factor", 4.0}, {"beta_fast", 16}}},
                                  {"torch_dtype", "bfloat16"},
                                  {"eos_token_id", {2, 3}},
                                  {"attention_bias", true}});
  ASSERT_TRUE(config.ok()) << config.error().to_string();
  EXPECT_EQ(config->rope.theta, 1e6);
  EXPECT_EQ(config->rope.variant, RopeConfig::Variant::kYarn);
  EXPECT_EQ(config->rope.beta_fast, 16.0);
  EXPECT_EQ(config->rope.original_max_position, 4096) << "max_position_embeddings when the scaling is silent";
  EXPECT_EQ(config->stored_dtype, DType::kBF16);
  EXPECT_THAT(config->eos_ids, ElementsAre(2, 3));
  EXPECT_EQ(config->kv_heads, 4) << "as many as heads when the file is silent";
  EXPECT_TRUE(config->qkv_bias);
  EXPECT_TRUE(config->o_bias);
}

TEST(HfConfig, FindsTheArchitectureByModelType) {
  json config = base_config();
  config.erase("architectures");
  config["model_type"] = "qwen3";
  const auto parsed = parse_hf_config(config.dump(), "config.json");
  ASSERT_TRUE(parsed.ok()) << parsed.error().to_string();
  EXPECT_EQ(parsed->architecture, "Qwen3ForCausalLM");
  EXPECT_EQ(parsed->head_dim, 128) << "transformers' own default for qwen3";
}

TEST(HfConfig, ListsWhatIsSupported) {
  EXPECT_THAT(refusal({{"architectures", {"MambaForCausalLM"}}}),
              AllOf(HasSubstr("config.json: unknown architecture 'MambaForCausalLM'"), HasSubstr("Qwen3ForCausalLM")));
}

TEST(HfConfig, RefusesByName) {
  EXPECT_THAT(refusal({{"hidden_act", "gelu"}}),
              HasSubstr("unknown hidden_act 'gelu' (supported: silu, gelu_pytorch_tanh)"));
  EXPECT_THAT(refusal({{"rope_scaling", {{"rope_type", "longrope"}}}}), HasSubstr("unknown rope_type 'longrope'"));
  EXPECT_THAT(refusal({{"rope_parameters", {{"full_attention", {{"rope_theta", 1.0}}}}}}),
              HasSubstr("rope_parameters differs by layer type ('full_attention')"));
  EXPECT_THAT(refusal({{"attn_logit_softcapping", 50.0}}), HasSubstr("attn_logit_softcapping changes the model"));
  EXPECT_THAT(refusal({{"quantization_config", {{"quant_method", "gptq"}}}}), HasSubstr("quantization_config changes"));
  EXPECT_THAT(refusal({{"num_local_experts", 8}}), HasSubstr("num_local_experts changes the model"));
  EXPECT_THAT(refusal({{"layer_types", {"full_attention", "linear_attention"}}}),
              HasSubstr("unknown layer type 'linear_attention'"));
  EXPECT_THAT(refusal({{"quantization_config", {{"quant_method", "fp8"}}}}), HasSubstr("quantization_config changes"));
  EXPECT_THAT(refusal({{"kv_lora_rank", 512}}), HasSubstr("kv_lora_rank changes the model"));
  EXPECT_THAT(refusal({{"attn_type_list", {1, 0}}}), HasSubstr("attn_type_list changes the model"));
  EXPECT_THAT(refusal({{"torch_dtype", "float99"}}), HasSubstr("unknown dtype 'float99'"));
}

TEST(HfConfig, TakesHarmlessValuesOfForeignFields) {
  EXPECT_EQ(
      refusal({{"attn_logit_softcapping", nullptr}, {"logits_scaling", 1.0}, {"num_experts", 0}, {"alibi", false}}),
      "parsed");
}

/// "full" or "slides" for each layer, and the window.
std::string windows(const json& changes) {
  const auto config = parse_with(changes);
  if (!config.ok()) return config.error().to_string();
  std::string out;
  for (LayerType type : config->layer_types) out += type == LayerType::kSlidingAttention ? "slides " : "full ";
  return out + std::to_string(config->sliding_window);
}

TEST(HfConfig, ReadsSlidingWindows) {
  const json mistral = {{"architectures", {"MistralForCausalLM"}}, {"sliding_window", 1024}};
  EXPECT_EQ(windows(mistral), "slides slides 1024");
  EXPECT_EQ(windows({{"architectures", {"MistralForCausalLM"}}, {"sliding_window", 4096}}), "full full 0")
      << "a window as long as the context hides nothing";
  json listed = mistral;
  listed["layer_types"] = {"full_attention", "sliding_attention"};
  EXPECT_EQ(windows(listed), "full slides 1024");
  json qwen = {{"architectures", {"Qwen2ForCausalLM"}}, {"sliding_window", 1024}, {"max_window_layers", 1}};
  EXPECT_EQ(windows(qwen), "full full 0") << "use_sliding_window is false by default";
  qwen["use_sliding_window"] = true;
  EXPECT_EQ(windows(qwen), "full slides 1024");
  qwen["max_window_layers"] = 2;
  EXPECT_EQ(windows(qwen), "full full 0") << "no layer is beyond the second";
  EXPECT_THAT(windows({{"sliding_window", 1024}}), HasSubstr("sliding_window changes the model")) << "llama has none";
  EXPECT_THAT(windows({{"layer_types", {"full_attention", "sliding_attention"}}}),
              HasSubstr("has sliding layers and no sliding_window"));
  EXPECT_THAT(windows({{"architectures", {"MistralForCausalLM"}}, {"sliding_window", -1}}),
              HasSubstr("sliding_window is -1"));
}

TEST(HfConfig, BoundsEveryNumber) {
  EXPECT_THAT(refusal({{"num_hidden_layers", 0}}), HasSubstr("num_hidden_layers is 0, possible are 1 to 4096"));
  EXPECT_THAT(refusal({{"vocab_size", 1e12}}), HasSubstr("vocab_size is 1000000000000"));
  EXPECT_THAT(refusal({{"vocab_size", -1}}), HasSubstr("vocab_size is -1"));
  EXPECT_THAT(refusal({{"vocab_size", UINT64_MAX}}), HasSubstr("vocab_size is 1.8446744073709552e+19"));
  EXPECT_THAT(refusal({{"hidden_size", 31.5}}), HasSubstr("hidden_size is no whole number"));
  EXPECT_THAT(refusal({{"hidden_size", "32"}}), HasSubstr("hidden_size is no number"));
  EXPECT_THAT(refusal({{"hidden_size", nullptr}}), HasSubstr("hidden_size is missing"));
  EXPECT_THAT(refusal({{"num_key_value_heads", 3}}), HasSubstr("4 heads are no multiple of 3 kv heads"));
  EXPECT_THAT(refusal({{"rope_theta", 0}}), HasSubstr("rope_theta is 0"));
  EXPECT_THAT(refusal({{"partial_rotary_factor", 0.4}}), HasSubstr("rotates 3 of 8 dimensions"));
  EXPECT_THAT(refusal({{"rope_scaling", {{"type", "linear"}}}}), HasSubstr("rope_scaling.factor is missing"));
  EXPECT_THAT(refusal({{"layer_types", {"full_attention"}}}), HasSubstr("layer_types names 1 of 2 layers"));
  EXPECT_THAT(refusal({{"tie_word_embeddings", 1}}), HasSubstr("tie_word_embeddings is no boolean"));
  EXPECT_THAT(refusal({{"eos_token_id", "x"}}), HasSubstr("eos_token_id is no token id"));
  EXPECT_THAT(refusal({{"layer_types", 3}}), HasSubstr("layer_types is no list of texts"));
  EXPECT_THAT(refusal({{"layer_types", {1, 2}}}), HasSubstr("layer_types is no list of texts"));
  EXPECT_THAT(refusal({{"rope_scaling", 3}}), HasSubstr("rope_scaling is no object"));
  EXPECT_THAT(parse_hf_config("[]", "c").error().to_string(), HasSubstr("c: is no JSON object"));
}

TEST(GenerationConfig, ReadsDefaultsAndMergesIds) {
  auto config = parse_with({{"eos_token_id", 2}});
  const auto generation = parse_generation_config(
      R"({"do_sample": true, "temperature": 0.6, "top_p": 0.95, "top_k": 20, "eos_token_id": [3, 2, 64, -1]})", "g");
  ASSERT_TRUE(generation.ok()) << generation.error().to_string();
  EXPECT_EQ(generation->do_sample, true);
  EXPECT_EQ(generation->temperature, 0.6);
  EXPECT_EQ(generation->top_p, 0.95);
  EXPECT_EQ(generation->top_k, 20);
  EXPECT_EQ(generation->min_p, std::nullopt);
  merge_token_ids(*generation, &*config);
  EXPECT_THAT(config->eos_ids, ElementsAre(2, 3)) << "64 is outside the vocabulary";
  EXPECT_THAT(parse_generation_config(R"({"top_p": 2})", "g.json").error().to_string(),
              HasSubstr("g.json: top_p is 2, possible are 0 to 1"));
}

}  // namespace
}  // namespace vortex
