// What flow check says: each mistake once, with its key and what to do.
#include "engine/preflight/preflight.h"

#include <gtest/gtest.h>

#include "engine/flow_setup.h"

namespace vortex {
namespace {

/// Six layers of 8 heads over 2 kv heads, a context of 2,048 pages of 16 tokens.
ModelConfig small_model() {
  ModelConfig model;
  model.layers = 6;
  model.heads = 8;
  model.kv_heads = 2;
  model.head_dim = 64;
  model.max_position_embeddings = 32768;
  return model;
}

/// The same with a latent of 512 + 64 for all heads.
ModelConfig latent_model() {
  ModelConfig model = small_model();
  model.kv_heads = 1;
  model.head_dim = 576;
  model.mla.kv_lora_rank = 512;
  return model;
}

using Lines = std::vector<std::string>;

Lines findings(const std::string& json, bool sweep = false, const ModelConfig* given = nullptr) {
  auto config = parse_vortex_config(json, "test.json");
  EXPECT_TRUE(config.ok()) << config.error().to_string();
  const ModelConfig model = given != nullptr ? *given : small_model();
  std::vector<std::string> out;
  for (const Finding& finding : preflight(**config, &model, {.sweep = sweep})) out.push_back(finding.to_string());
  return out;
}

TEST(Preflight, AFlowThatIsFine) {
  EXPECT_EQ(findings(R"({"module_name": "gqa_quest_sparse_attention"})"),
            (Lines{"info: gqa_quest_sparse_attention: compiles for group 4, head_dim 64, block_size 16; scoring reads "
                   "256 bytes a page",
                   "info: budget: 32 of 2048 pages a row at the model's context of 32768 tokens"}));
}

TEST(Preflight, EachAttentionHasItsFlows) {
  const char* const sketch = R"({"module_name": "sketch1_mla"})";
  EXPECT_EQ(findings(sketch)[0].find("error: sketch1_mla: this flow is for latent attention (mla), the model has "
                                     "grouped-query attention (gqa) (flows that fit: block_sparse_attention, "),
            0u);
  const ModelConfig latent = latent_model();
  EXPECT_EQ(findings(sketch, false, &latent)[0],
            "info: sketch1_mla: compiles for group 8, head_dim 576, block_size 16; scoring reads 1184 bytes a page");
  EXPECT_NE(findings(R"({"module_name": "block_sparse_attention"})", false, &latent)[0].find(
                "flows that fit: rope_aware_block_sparse_mla, "),
            std::string::npos);
}

TEST(Preflight, AFlowIsRefusedBeforeWeightsAreLoaded) {
  const auto config = parse_vortex_config(R"({"module_name": "sketch1_mla"})", "test.json").value().value();
  EXPECT_EQ(check_flow_fits(config, small_model()).error().code, ErrorCode::kConfiguration);
  EXPECT_TRUE(check_flow_fits(config, latent_model()).ok());
}

TEST(Preflight, WeightsOfALearnedFlowAreLookedAt) {
  const auto config =
      parse_vortex_config(R"({"module_name": "learned_block_sparse_mla"})", "test.json").value().value();
  const ModelConfig latent = latent_model();
  EXPECT_EQ(preflight(config, &latent, {})[0].severity, Severity::kInfo);
  const Finding missing = preflight(config, &latent, {.compressor_ckpt = "/no/such.safetensors"})[0];
  EXPECT_EQ(missing.severity, Severity::kError);
  EXPECT_NE(missing.to_string().find("/no/such.safetensors"), std::string::npos);
}

TEST(Preflight, LatentFlowsAreSweptOverLatentShapes) {
  const auto config = parse_vortex_config(R"({"module_name": "quest_mla"})", "test.json").value().value();
  Lines lines;
  for (const Finding& finding : preflight(config, nullptr, {.sweep = true})) lines.push_back(finding.to_string());
  EXPECT_EQ(lines,
            (Lines{"info: quest_mla: compiles for group 16, head_dim 576, block_size 16; scoring reads 2304 bytes "
                   "a page",
                   "info: sweep: 15 of 15 shapes compile"}));
}

TEST(Preflight, SaveIsNoHindrance) {
  const Lines lines = findings(R"({"module_name": "running_avg_block_sparse"})");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[1], "info: Save: each sequence keeps its own state, so a prefix cache may stay on");
}

TEST(Preflight, Errors) {
  const struct {
    const char* config;
    const char* line;
  } cases[] = {
      {R"({"topk_val": 3})", "error: vortex config: module_name: no flow is named"},
      {R"({"module_name": "gqa_quest"})", "error: module_name: no flow 'gqa_quest'"},
      {R"({"module_name": "block_sparse_attention", "layers_skip": [6]})",
       "error: vortex config: layers_skip: 6 is out of range (give 0 to 5)"},
      {R"({"module_name": "lserve_sparse_attention", "block_size": 8})",
       "error: lserve_sparse_attention: field 'max' has impossible shape [0, 64] for group 4, head_dim 64, block_size "
       "8 "
       "(an axis is empty: this flow needs a larger block_size or head_dim)"},
      {R"({"module_name": "block_sparse_attention", "schedule_policy": "return topk_val +;"})",
       "error: schedule_policy:1:"},
      {R"({"module_path": "/no/such/flow.json"})", "error: /no/such/flow.json: no such file"},
  };
  for (const auto& c : cases) {
    const Lines lines = findings(c.config);
    ASSERT_FALSE(lines.empty()) << c.config;
    EXPECT_EQ(lines.front().substr(0, std::string(c.line).size()), c.line);
  }
}

TEST(Preflight, WhatMakesNoSense) {
  const struct {
    const char* settings;
    const char* line;
  } cases[] = {
      {R"("topk_ratio": 1.0)", "warning: topk_ratio: the budget covers the model's context"},
      {R"("max_topk_val": 5)", "warning: max_topk_val: 5 cuts topk_val 30 (raise it or lower topk_val)"},
      {R"("block_reserved_bos": 0)", "warning: block_reserved_bos: 0: the first tokens"},
      {R"("topk_val": 2046)",
       "warning: topk_val: the budget covers the model's context of 32768 tokens (2048 pages): attention stays dense "
       "(sparsity pays below 512 pages)"},
      {R"("max_seq_lens": 40000)", "warning: max_seq_lens: 40000 is beyond the model's context of 32768 tokens"},
      {R"("layers_skip": [0, 1, 2, 3, 4, 5])", "warning: layers_skip: names all 6 layers"},
  };
  for (const auto& c : cases) {
    const Lines lines = findings(std::string(R"({"module_name": "block_sparse_attention", )") + c.settings + "}");
    EXPECT_EQ(lines.front().substr(0, std::string(c.line).size()), c.line);
  }
}

TEST(Preflight, SweepSaysWhatFailsOnce) {
  const Lines lines = findings(R"({"module_name": "lserve_sparse_attention"})", true);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0],
            "warning: lserve_sparse_attention: block_size 4, 8: field 'max' has impossible shape [0, 32] for group 1, "
            "head_dim 32, block_size 4 (an axis is empty: this flow needs a larger block_size or head_dim)");
  EXPECT_EQ(lines[2], "info: sweep: 60 of 90 shapes compile");
}

TEST(Sweep, ShapesInWords) {
  std::vector<flow::GraphShape> shapes = {{1, 32, 4}, {1, 64, 8}};
  EXPECT_EQ(describe_shapes(shapes), "group 1 head_dim 32 block_size 4, group 1 head_dim 64 block_size 8");
  shapes.push_back({2, 32, 4});
  shapes.push_back({2, 32, 16});
  EXPECT_EQ(
      describe_shapes(shapes),
      "group 1 head_dim 32 block_size 4, group 1 head_dim 64 block_size 8, group 2 head_dim 32 block_size 4 and 1 "
      "more");
}

TEST(Preflight, ModuleBesideItsConfig) {
  VortexConfig config;
  config.module_path = "preflight_test.cc";
  find_module_beside(VORTEX_SOURCE_DIR "/src/engine/preflight/x.json", &config);
  EXPECT_EQ(*config.module_path, VORTEX_SOURCE_DIR "/src/engine/preflight/preflight_test.cc");
  config.module_path = "nowhere.cc";
  find_module_beside(VORTEX_SOURCE_DIR "/src/engine/preflight/x.json", &config);
  EXPECT_EQ(*config.module_path, "nowhere.cc");
}

}  // namespace
}  // namespace vortex
