#include "model/kv_fields.h"

#include <gtest/gtest.h>

namespace vortex::model {
namespace {

/// The geometry of DeepSeek-V3: 128 heads, latents of 512 + 64.
ModelConfig deepseek_v3_shape(int layers) {
  ModelConfig config;
  config.layers = layers;
  config.heads = 128;
  config.kv_heads = 1;
  config.head_dim = 576;
  config.mla = {
      .kv_lora_rank = 512, .q_lora_rank = 1536, .qk_nope_head_dim = 128, .qk_rope_head_dim = 64, .v_head_dim = 128};
  return config;
}

TEST(KvFieldsTest, ALayerOfDeepSeekV3Keeps576ValuesAToken) {
  const auto fields = kv_fields(deepseek_v3_shape(1), 32, DType::kBF16);
  ASSERT_EQ(fields.size(), 1U) << "one row for all heads, no second copy for the values";
  EXPECT_EQ(fields[0], (FieldSpec{"latent", 32, 576, DType::kBF16}));
  EXPECT_EQ(fields[0].page_bytes(), 32 * 576 * 2);
  EXPECT_EQ(kv_bytes_per_token(deepseek_v3_shape(1), DType::kBF16), 576 * 2);
  EXPECT_EQ(kv_bytes_per_token(deepseek_v3_shape(61), DType::kBF16), 61 * 576 * 2);
}

TEST(KvFieldsTest, GroupedQueryLayersKeepKeysAndValuesOfEachHead) {
  ModelConfig config;
  config.layers = 3;
  config.heads = 8;
  config.kv_heads = 2;
  config.head_dim = 64;
  EXPECT_EQ(kv_fields(config, 16, DType::kF32),
            (std::vector<FieldSpec>{{"k", 16, 64, DType::kF32}, {"v", 16, 64, DType::kF32}}));
  EXPECT_EQ(kv_bytes_per_token(config, DType::kBF16), 3 * 2 * 2 * 64 * 2);
}

TEST(KvFieldsTest, EightBitsTakeAByteEachAndTwoBytesARow) {
  EXPECT_EQ(kv_fields(deepseek_v3_shape(1), 32, DType::kCode8)[0].page_bytes(), 32 * (576 + 2));
  EXPECT_EQ(kv_bytes_per_token(deepseek_v3_shape(61), DType::kCode8), 61 * (576 + 2));
  ModelConfig config;
  config.layers = 3;
  config.heads = 8;
  config.kv_heads = 2;
  config.head_dim = 64;
  EXPECT_EQ(kv_bytes_per_token(config, DType::kCode8), 3 * 2 * 2 * (64 + 2));
}

}  // namespace
}  // namespace vortex::model
