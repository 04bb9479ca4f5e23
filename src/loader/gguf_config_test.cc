#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "loader/gguf.h"
#include "loader/model_config.h"
#include "loader/rope.h"
#include "loader/testing/model_images.h"

namespace vortex {
namespace {

using ::testing::ElementsAre;
using testing::GgufField;
using testing::GgufImage;
using ::testing::HasSubstr;
using testing::small_llama;

Result<ModelConfig> read(const GgufImage& image) {
  const std::string bytes = image.build();
  auto file = GgufFile::parse(testing::as_bytes(bytes), "m.gguf");
  if (!file.ok()) return file.error();
  return read_gguf_config(**file);
}

/// The small llama with one metadata value set.
GgufImage with(const std::string& key, const GgufField& value) {
  GgufImage image = small_llama();
  const auto it = std::find_if(image.metadata.begin(), image.metadata.end(), [&](auto& e) { return e.first == key; });
  if (it == image.metadata.end()) {
    image.metadata.push_back({key, value});
  } else {
    it->second = value;
  }
  return image;
}

std::string refusal(const GgufImage& image) {
  const auto config = read(image);
  return config.ok() ? "parsed" : config.error().to_string();
}

TEST(GgufConfig, ReadsLlama) {
  const auto config = read(small_llama());
  ASSERT_TRUE(config.ok()) << config.error().to_string();
  EXPECT_EQ(config->vocab_size, 8);
  EXPECT_EQ(config->hidden_size, 32);
  EXPECT_EQ(config->intermediate_size, 64);
  EXPECT_EQ(config->layers, 1);
  EXPECT_EQ(config->heads, 2);
  EXPECT_EQ(config->kv_heads, 1);
  EXPECT_EQ(config->head_dim, 16);
  EXPECT_EQ(config->rms_norm_eps, 1e-5f);
  EXPECT_EQ(config->max_position_embeddings, 128);
  EXPECT_TRUE(config->tie_word_embeddings) << "no output.weight";
  EXPECT_TRUE(config->rope.interleaved) << "the converter permutes llama";
  EXPECT_EQ(config->rope.rotary_dim, 16);
  EXPECT_EQ(config->stored_dtype, DType::kQ4_0);
  EXPECT_THAT(config->bos_ids, ElementsAre(6));
  EXPECT_THAT(config->eos_ids, ElementsAre(7));
}

TEST(GgufConfig, SeesBiasesNormsAndHeadInTheTensors) {
  GgufImage image = small_llama();
  for (auto& [key, value] : image.metadata) {
    if (key.starts_with("llama.")) key.replace(0, 5, "qwen3");
  }
  image.metadata[0].second = testing::gguf_string("qwen3");
  image.tensors.push_back({"blk.0.attn_q.bias", {32}, 0, testing::zeros(32)});
  image.tensors.push_back({"blk.0.attn_q_norm.weight", {16}, 0, testing::zeros(16)});
  image.tensors.push_back({"output.weight", {32, 8}, 0, testing::zeros(256)});
  const auto config = read(image);
  ASSERT_TRUE(config.ok()) << config.error().to_string();
  EXPECT_TRUE(config->qkv_bias);
  EXPECT_EQ(config->qk_norm, QkNorm::kHead);
  EXPECT_FALSE(config->tie_word_embeddings);
  EXPECT_FALSE(config->rope.interleaved);
}

TEST(GgufConfig, ReadsRopeScaling) {
  GgufImage image = with("llama.rope.scaling.type", testing::gguf_string("yarn"));
  image.metadata.push_back({"llama.rope.scaling.factor", testing::gguf_f32(4.0f)});
  image.metadata.push_back({"llama.rope.scaling.original_context_length", testing::gguf_u32(32)});
  const auto config = read(image);
  ASSERT_TRUE(config.ok()) << config.error().to_string();
  EXPECT_EQ(config->rope.variant, RopeConfig::Variant::kYarn);
  EXPECT_EQ(config->rope.original_max_position, 32);
  EXPECT_FLOAT_EQ(rope_attention_scale(config->rope), static_cast<float>(1.0 + 0.1 * std::log(4.0)));
  const auto linear = read(with("llama.rope.scale_linear", testing::gguf_f32(2.0f)));
  EXPECT_EQ(linear->rope.variant, RopeConfig::Variant::kLinear);
  EXPECT_EQ(linear->rope.factor, 2.0);
}

TEST(GgufConfig, ReadsRopeFactors) {
  GgufImage image = small_llama();
  image.tensors.push_back({"rope_freqs.weight", {8}, 0, testing::zeros(8)});
  EXPECT_THAT(refusal(image), HasSubstr("rope_freqs.weight holds 0"));
  std::string& data = image.tensors.back().data;
  for (size_t i = 0; i < 8; ++i) data.replace(4 * i, 4, std::string("\0\0\0\x40", 4));
  EXPECT_THAT(read(image)->rope.frequency_divisors, ElementsAre(2, 2, 2, 2, 2, 2, 2, 2));
  image.tensors.back().dims = {4};
  EXPECT_THAT(refusal(image), HasSubstr("rope_freqs.weight is float32 [4], float32 [8] expected"));
}

TEST(GgufConfig, ReadsSlidingWindows) {
  const auto sliding = read(with("llama.attention.sliding_window", testing::gguf_u32(64)));
  EXPECT_EQ(sliding->sliding_window, 64);
  EXPECT_THAT(sliding->layer_types, ElementsAre(LayerType::kSlidingAttention));
  const auto idle = read(with("llama.attention.sliding_window", testing::gguf_u32(128)));
  EXPECT_EQ(idle->sliding_window, 0) << "as long as the context";
  EXPECT_THAT(idle->layer_types, ElementsAre(LayerType::kFullAttention));
}

TEST(GgufConfig, RefusesByName) {
  EXPECT_THAT(refusal(with("general.architecture", testing::gguf_string("mamba"))),
              HasSubstr("m.gguf: unknown architecture 'mamba' (supported: LlamaForCausalLM"));
  EXPECT_THAT(refusal(with("llama.expert_count", testing::gguf_u32(8))), HasSubstr("llama.expert_count changes"));
  EXPECT_THAT(refusal(with("llama.attn_logit_softcapping", testing::gguf_f32(50))),
              HasSubstr("attn_logit_softcapping"));
  EXPECT_THAT(refusal(with("llama.rope.scaling.type", testing::gguf_string("longrope"))), HasSubstr("'longrope'"));
  EXPECT_THAT(refusal(with("llama.attention.value_length", testing::gguf_u32(8))),
              HasSubstr("keys of 16 and values of 8"));
}

TEST(GgufConfig, BoundsEveryNumber) {
  EXPECT_THAT(refusal(with("llama.block_count", testing::gguf_u32(0))), HasSubstr("llama.block_count is 0"));
  EXPECT_THAT(refusal(with("llama.block_count", testing::gguf_string("1"))),
              HasSubstr("llama.block_count is no number"));
  EXPECT_THAT(refusal(with("llama.attention.head_count_kv", testing::gguf_array(4, 0, ""))),
              HasSubstr("llama.attention.head_count_kv is no number"));
  EXPECT_THAT(refusal(with("llama.rope.freq_base", testing::gguf_f32(NAN))), HasSubstr("llama.rope.freq_base is nan"));
  EXPECT_THAT(refusal(with("llama.attention.head_count_kv", testing::gguf_u32(3))),
              HasSubstr("no multiple of 3 kv heads"));
  GgufImage silent = small_llama();
  silent.metadata.erase(silent.metadata.begin() + 3);
  EXPECT_THAT(refusal(silent), HasSubstr("llama.embedding_length is missing"));
}

}  // namespace
}  // namespace vortex
