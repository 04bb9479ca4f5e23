// Every element of a model belongs to some rank: shares are disjoint, cover everything, and hold whole heads and
// blocks.
#include "loader/rank_share.h"

#include <gtest/gtest.h>

#include <numeric>

namespace vortex {
namespace {

ModelConfig gqa(int heads, int kv_heads, int inner) {
  ModelConfig config;
  config.heads = heads;
  config.kv_heads = kv_heads;
  config.head_dim = 64;
  config.intermediate_size = inner;
  config.vocab_size = 1000;
  return config;
}

ModelConfig latent(int heads) {
  ModelConfig config = gqa(heads, 1, 512);
  config.mla = {.kv_lora_rank = 32, .q_lora_rank = 0, .qk_nope_head_dim = 16, .qk_rope_head_dim = 8, .v_head_dim = 24};
  config.head_dim = 40;
  config.moe = {.experts = 8, .experts_per_token = 2, .intermediate_size = 96, .shared_experts = 2};
  return config;
}

RankShare share(const ModelConfig& config, int rank, int ranks, int64_t block = 1) {
  return share_of(config, block, rank, ranks).value();
}

TEST(RankShareTest, PartsCoverTheWholeWithoutGaps) {
  for (int64_t total : {1, 7, 64, 1000})
    for (int64_t unit : {1, 8, 64})
      for (int parts = 1; parts <= 5; ++parts) {
        int64_t at = 0;
        for (int i = 0; i < parts; ++i) {
          const Range range = part_of(total, unit, i, parts);
          EXPECT_EQ(range.begin, at);
          EXPECT_TRUE(range.end == total || range.end % unit == 0);
          at = range.end;
        }
        EXPECT_EQ(at, total);
      }
}

TEST(RankShareTest, KvHeadsTakeTheirGroupWithThem) {
  const RankShare second = share(gqa(16, 8, 1024), 1, 2);
  EXPECT_EQ(second.kv_heads.begin, 4);
  EXPECT_EQ(second.heads.begin, 8);
  EXPECT_EQ(second.heads.end, 16);
  EXPECT_EQ(second.inner.begin, 512);
  EXPECT_FALSE(second.shares_rows());
  const ModelConfig local = local_config(gqa(16, 8, 1024), second);
  EXPECT_EQ(local.heads, 8);
  EXPECT_EQ(local.kv_heads, 4);
  EXPECT_EQ(local.intermediate_size, 512);
  EXPECT_EQ(local.vocab_size, 1000);
}

TEST(RankShareTest, ThreeKvHeadsOnTwoRanksAreUneven) {
  const ModelConfig config = gqa(9, 3, 1536);
  EXPECT_EQ(share(config, 0, 2).heads.size(), 3);
  EXPECT_EQ(share(config, 1, 2).heads.size(), 6);
}

TEST(RankShareTest, FewKvHeadsAreReplicated) {
  const ModelConfig config = gqa(16, 2, 1024);
  for (int rank = 0; rank < 4; ++rank) {
    const RankShare part = share(config, rank, 4);
    EXPECT_EQ(part.kv_heads.begin, rank / 2);
    EXPECT_EQ(part.kv_heads.size(), 1);
    EXPECT_EQ(part.heads.begin, rank * 4);
    EXPECT_EQ(part.heads.size(), 4);
    EXPECT_EQ(part.replicas, 2);
  }
  EXPECT_FALSE(share_of(gqa(9, 3, 1024), 1, 0, 4).ok()) << "3 kv heads on 4 ranks";
  EXPECT_FALSE(share_of(gqa(9, 3, 1024), 1, 0, 6).ok()) << "groups of 3 on 2 ranks each";
}

TEST(RankShareTest, LatentsAreOnEveryRank) {
  const RankShare part = share(latent(4), 1, 2);
  EXPECT_EQ(part.heads.begin, 2);
  EXPECT_EQ(part.kv_heads.size(), 1);
  EXPECT_TRUE(part.shares_rows());
  EXPECT_EQ(part.expert_inner.size(), 48);
}

TEST(RankShareTest, ColumnsAreCutAtBlocks) {
  EXPECT_EQ(share(gqa(4, 4, 768), 1, 2, 1).inner.begin, 384);
  EXPECT_EQ(share(gqa(4, 4, 768), 1, 2, 256).inner.begin, 256) << "three blocks: one and two";
  const auto refused = share_of(gqa(4, 4, 256), 256, 0, 2);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().to_string().find("--tensor-parallel-size"), std::string::npos);
}

struct SliceCase {
  const char* name;
  int axis;
  int64_t begin, end, whole;
};

void expect_slices(const ModelConfig& config, const RankShare& part, std::initializer_list<SliceCase> cases) {
  for (const SliceCase& c : cases) {
    const auto slice = slice_of(c.name, config, part);
    ASSERT_TRUE(slice.has_value()) << c.name;
    EXPECT_EQ(slice->axis, c.axis) << c.name;
    EXPECT_EQ(slice->begin, c.begin) << c.name;
    EXPECT_EQ(slice->end, c.end) << c.name;
    EXPECT_EQ(slice->whole, c.whole) << c.name;
  }
}

TEST(RankShareTest, SlicesOfAGroupedModel) {
  ModelConfig config = gqa(8, 4, 1024);
  config.qk_norm = QkNorm::kAll;
  const RankShare part = share(config, 1, 2);
  expect_slices(config, part,
                {{"model.layers.3.self_attn.q_proj.weight", 0, 256, 512, 512},
                 {"model.layers.3.self_attn.q_proj.bias", 0, 256, 512, 512},
                 {"model.layers.3.self_attn.k_proj.weight", 0, 128, 256, 256},
                 {"model.layers.3.self_attn.v_proj.bias", 0, 128, 256, 256},
                 {"model.layers.3.self_attn.o_proj.weight", 1, 256, 512, 512},
                 {"model.layers.3.self_attn.sinks", 0, 4, 8, 8},
                 {"model.layers.3.self_attn.q_norm.weight", 0, 256, 512, 512},
                 {"model.layers.3.self_attn.k_norm.weight", 0, 128, 256, 256},
                 {"model.layers.3.mlp.gate_proj.weight", 0, 512, 1024, 1024},
                 {"model.layers.3.mlp.up_proj.bias", 0, 512, 1024, 1024},
                 {"model.layers.3.mlp.down_proj.weight", 1, 512, 1024, 1024},
                 {"lm_head.weight", 0, 512, 1000, 1000}});
  for (const char* whole : {"model.embed_tokens.weight", "model.norm.weight", "model.layers.3.mlp.gate.weight",
                            "model.layers.3.mlp.gate.bias", "model.layers.3.input_layernorm.weight"})
    EXPECT_FALSE(slice_of(whole, config, part).has_value()) << whole;
  for (const char* once :
       {"model.layers.3.self_attn.o_proj.bias", "model.layers.3.mlp.down_proj.bias",
        "model.layers.3.mlp.experts.5.down_proj.bias", "model.layers.3.mlp.experts.down_proj_bias"}) {
    EXPECT_TRUE(slice_of(once, config, part)->zeros) << once;
    EXPECT_FALSE(slice_of(once, config, share(config, 0, 2)).has_value()) << once;
  }
  config.qk_norm = QkNorm::kHead;
  EXPECT_FALSE(slice_of("model.layers.3.self_attn.q_norm.weight", config, part).has_value());
}

TEST(RankShareTest, SlicesOfALatentModelWithExperts) {
  const ModelConfig config = latent(4);
  expect_slices(config, share(config, 1, 2),
                {{"model.layers.0.self_attn.q_b_proj.weight", 0, 48, 96, 96},
                 {"model.layers.0.self_attn.kv_b_proj.weight", 0, 80, 160, 160},
                 {"model.layers.0.self_attn.k_b_proj.weight", 0, 2, 4, 4},
                 {"model.layers.0.self_attn.o_proj.weight", 1, 48, 96, 96},
                 {"model.layers.0.mlp.experts.7.gate_proj.weight", 0, 48, 96, 96},
                 {"model.layers.0.mlp.experts.7.down_proj.weight", 1, 48, 96, 96},
                 {"model.layers.0.mlp.experts.gate_up_proj", 2, 96, 192, 192},
                 {"model.layers.0.mlp.experts.gate_up_proj_bias", 1, 96, 192, 192},
                 {"model.layers.0.mlp.experts.down_proj", 1, 48, 96, 96},
                 {"model.layers.0.mlp.shared_experts.up_proj.weight", 0, 96, 192, 192},
                 {"model.layers.0.mlp.shared_experts.down_proj.weight", 1, 96, 192, 192}});
  EXPECT_FALSE(slice_of("model.layers.0.self_attn.kv_a_proj_with_mqa.weight", config, share(config, 1, 2)).has_value());
}

TEST(WeightSliceTest, PartsOfColumnsAreGathered) {
  std::vector<float> values(24);
  std::iota(values.begin(), values.end(), 0.0f);
  WeightMap weights;
  const auto* data = reinterpret_cast<const std::byte*>(values.data());
  ASSERT_TRUE(weights.add("w", {data, DType::kF32, Shape{2, 3, 4}}).ok());
  ASSERT_TRUE(weights.add("b", {data, DType::kF32, Shape{4}}).ok());
  weights.slice_by([](std::string_view name) -> std::optional<WeightSlice> {
    if (name == "b") return WeightSlice{.zeros = true};
    return WeightSlice{.axis = 1, .begin = 1, .end = 3, .whole = 3};
  });
  const TensorView part = weights.take("w", Shape{2, 2, 4}).value();
  const auto* floats = reinterpret_cast<const float*>(part.data);
  for (int i = 0; i < 16; ++i) EXPECT_EQ(floats[i], static_cast<float>(i < 8 ? 4 + i : 8 + i)) << i;
  EXPECT_EQ(weights.hand_over("w").get(), part.data);
  EXPECT_EQ(weights.hand_over("w"), nullptr);
  const TensorView zeros = weights.take("b", Shape{4}).value();
  EXPECT_EQ(reinterpret_cast<const float*>(zeros.data)[3], 0.0f);
  EXPECT_TRUE(weights.finish().ok());
}

TEST(WeightSliceTest, BlocksAreNotCut) {
  std::vector<std::byte> blocks(static_cast<size_t>(dtype_bytes(DType::kQ8_0, 2 * 64)));
  WeightMap weights;
  ASSERT_TRUE(weights.add("w", {blocks.data(), DType::kQ8_0, Shape{2, 64}}).ok());
  EXPECT_EQ(weights.largest_block(), 32);
  weights.slice_by([](std::string_view) { return WeightSlice{.axis = 1, .begin = 0, .end = 48, .whole = 64}; });
  const auto refused = weights.take("w", Shape{2, 48});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().to_string().find("cannot be cut at column 48"), std::string::npos);
}

}  // namespace
}  // namespace vortex
