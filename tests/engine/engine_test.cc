// The engine as its users see it: right tokens whatever the batching, and pages counted by the formula.
#include <gtest/gtest.h>

#include <set>

#include "engine/engine_rig.h"

namespace vortex::testing {
namespace {

std::vector<int32_t> head(const std::vector<int32_t>& tokens, size_t count) {
  return {tokens.begin(), tokens.begin() + static_cast<int64_t>(std::min(count, tokens.size()))};
}

TEST(EngineTest, GreedyTokensAreTheGoldens) {
  auto engine = start(recall_options());
  for (const GoldenPrompt& golden : golden_prompts()) {
    const auto done = engine->generate(greedy_request(golden.ids, 32));
    ASSERT_TRUE(done.ok()) << done.error().to_string();
    EXPECT_EQ(done->tokens, golden.greedy) << golden.ids.size() << " prompt tokens";
    EXPECT_EQ(done->finish_reason, FinishReason::kLength);
    EXPECT_EQ(done->usage.prompt_tokens, static_cast<int64_t>(golden.ids.size()));
    EXPECT_EQ(done->usage.completion_tokens, 32);
    EXPECT_EQ(done->timings.intervals_s.size(), 31u);
    EXPECT_FALSE(done->sparsity.active);
    EXPECT_EQ(done->sparsity.pages_held, 0);
  }
}

// What spec/planner.md 2 gives for decode steps 1 to `steps` after a prompt of `prompt` tokens: the step that decodes
// the s-th generated token holds prompt + s tokens.
SparsityReport expected_pages(const VortexConfig& config, int64_t prompt, int64_t steps, int64_t layers, int64_t rows) {
  SparsityReport report;
  for (int64_t s = 1; s <= steps; ++s) {
    const int64_t pages = (prompt + s + config.block_size - 1) / config.block_size;
    const int64_t fixed = config.topk_val + config.block_reserved_bos + config.block_reserved_eos;
    const auto share = static_cast<int64_t>(static_cast<float>(pages) * static_cast<float>(config.topk_ratio));
    const int64_t read = std::min(std::max(fixed, share), pages);
    report.pages_held += layers * rows * pages;
    report.pages_read += layers * rows * read;
    ++(read < pages ? report.steps_sparse : report.steps_dense);
  }
  return report;
}

void expect_pages(const SparsityReport& actual, const SparsityReport& expected) {
  EXPECT_EQ(actual.pages_held, expected.pages_held);
  EXPECT_EQ(actual.pages_read, expected.pages_read);
  EXPECT_EQ(actual.steps_sparse, expected.steps_sparse);
  EXPECT_EQ(actual.steps_dense, expected.steps_dense);
}

class EngineFlowTest : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Flows, EngineFlowTest,
                         ::testing::Values("block_sparse_attention", "gqa_block_sparse_attention",
                                           "gqa_quest_sparse_attention"));

TEST_P(EngineFlowTest, BudgetForEveryPageIsDense) {
  EngineOptions options = recall_options();
  options.vortex = sparse_config(GetParam(), /*topk=*/300);
  auto engine = start(options);
  for (size_t tokens : {53u, 917u, 1969u}) {
    const GoldenPrompt golden = golden_prompt(tokens);
    const auto done = engine->generate(greedy_request(golden.ids, 32));
    ASSERT_TRUE(done.ok()) << done.error().to_string();
    EXPECT_EQ(done->tokens, golden.greedy) << golden.ids.size() << " prompt tokens";
    EXPECT_TRUE(done->sparsity.active);
    EXPECT_EQ(done->sparsity.flow, GetParam());
    const auto prompt = static_cast<int64_t>(golden.ids.size());
    expect_pages(done->sparsity, expected_pages(*options.vortex, prompt, 31, 6, 2));
    EXPECT_EQ(done->sparsity.steps_sparse, 0);
  }
}

TEST_P(EngineFlowTest, PagesAreTheFormulas) {
  EngineOptions options = recall_options();
  options.vortex = sparse_config(GetParam());
  options.vortex->layers_skip = std::vector<int64_t>{0, 4};
  auto engine = start(options);
  for (size_t prompt : {425u, 917u, 1969u}) {  // 425: dense; 1969: sparse
    const auto done = engine->generate(greedy_request(golden_prompt(prompt).ids, 20));
    ASSERT_TRUE(done.ok()) << done.error().to_string();
    EXPECT_EQ(done->sparsity.layers_sparse, (std::vector<int>{1, 2, 3, 5}));
    EXPECT_EQ(done->sparsity.page_size, 16);
    expect_pages(done->sparsity, expected_pages(*options.vortex, static_cast<int64_t>(prompt), 19, 4, 2));
    EXPECT_EQ(done->sparsity.steps_sparse > 0, prompt > 32 * 16);
  }
}

TEST(EngineSparsityTest, AStepOverTheBudgetIsWhereSparsityBegins) {
  EngineOptions options = recall_options();
  options.vortex = sparse_config("gqa_quest_sparse_attention", 29);
  auto engine = start(options);
  // 32 pages hold 512 tokens: the steps to 512 are dense, those from 513 sparse.
  const auto done = engine->generate(greedy_request(head(golden_prompt(917).ids, 505), 15));
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->sparsity.steps_dense, 7);
  EXPECT_EQ(done->sparsity.steps_sparse, 7);
  EXPECT_EQ(done->sparsity.pages_held - done->sparsity.pages_read, 7 * 6 * 2);
}

TEST(EngineSparsityTest, RatioRaisesTheBudget) {
  EngineOptions options = recall_options();
  options.vortex = sparse_config("block_sparse_attention", 4);
  options.vortex->topk_ratio = 0.25;
  auto engine = start(options);
  const auto done = engine->generate(greedy_request(golden_prompt(1969).ids, 8));
  ASSERT_TRUE(done.ok());
  expect_pages(done->sparsity, expected_pages(*options.vortex, 1969, 7, 6, 2));
  EXPECT_EQ(done->sparsity.pages_read, 7 * 6 * 2 * 31) << "a quarter of 124 pages";
}

TEST(EngineSparsityTest, BlockSizeIsTheUnit) {
  EngineOptions options = recall_options();
  options.vortex = sparse_config("gqa_quest_sparse_attention", 5);
  options.vortex->block_size = 32;
  auto engine = start(options);
  const auto done = engine->generate(greedy_request(golden_prompt(1969).ids, 8));
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->sparsity.page_size, 32);
  expect_pages(done->sparsity, expected_pages(*options.vortex, 1969, 7, 6, 2));
}

std::vector<GenerateRequest> four_requests() {
  std::vector<GenerateRequest> requests;
  for (size_t tokens : {53u, 300u, 425u, 917u})
    requests.push_back(greedy_request(head(golden_prompt(917).ids, tokens), 24));
  return requests;
}

std::vector<std::vector<int32_t>> run_alone(Engine& engine) {
  std::vector<std::vector<int32_t>> tokens;
  for (GenerateRequest& request : four_requests()) tokens.push_back(Pending(engine, std::move(request)).wait().tokens);
  return tokens;
}

// Under each setting, sparse attention included, what others do must not change an answer.
TEST(EngineBatchTest, TogetherIsAsAlone) {
  for (const char* flow : {"", "gqa_quest_sparse_attention", "running_avg_block_sparse"}) {
    EngineOptions options = recall_options();
    if (*flow != '\0') options.vortex = sparse_config(flow, 8);
    auto engine = start(options);
    EXPECT_EQ(run_together(*engine, four_requests()), run_alone(*engine)) << "flow '" << flow << "'";
  }
}

TEST(EngineBatchTest, ChunkAndSlabSizesDoNotShow) {
  for (const char* flow : {"", "gqa_quest_sparse_attention"}) {
    std::set<std::vector<std::vector<int32_t>>> answers;
    for (const auto& [chunk, slab] : {std::pair(512, 16), std::pair(64, 16), std::pair(100, 64), std::pair(2048, 64)}) {
      EngineOptions options = recall_options();
      options.max_num_batched_tokens = chunk;
      options.page_size = slab;
      if (*flow != '\0') options.vortex = sparse_config(flow, 8);
      auto engine = start(options);
      answers.insert(run_together(*engine, four_requests()));
    }
    EXPECT_EQ(answers.size(), 1u) << "flow '" << flow << "'";
  }
}

TEST(EngineBatchTest, AFullPoolPreemptsAndAnswersTheSame) {
  EngineOptions options = recall_options();
  const std::vector<int32_t> prompt = golden_prompt(917).ids;
  const auto requests = [&] {
    std::vector<GenerateRequest> list;
    for (int64_t i = 0; i < 4; ++i)
      list.push_back(greedy_request({prompt.begin(), prompt.end() - 13 * i}, 80));  // each outgrows its first pages
    return list;
  };
  const auto expected = run_together(*start(options), requests());
  const int64_t token_bytes = 6 * 2 * 2 * 64 * 4;  // layers, K and V, kv heads, head_dim, float32
  // The first two prompts fit (58 + 57 of 118 slabs); with what they generate (63 + 62) they do not.
  options.kv_cache_memory_bytes = 118 * 16 * token_bytes;
  auto engine = start(options);
  EXPECT_LE(engine->info().kv_bytes, options.kv_cache_memory_bytes);
  EXPECT_EQ(run_together(*engine, requests()), expected);
}

}  // namespace
}  // namespace vortex::testing
