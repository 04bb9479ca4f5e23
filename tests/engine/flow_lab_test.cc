// FlowLab decodes as the engine does, however often it goes back to the prompt.
#include "engine/flow_lab.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/engine_rig.h"
#include "engine/fidelity.h"
#include "engine/selection_controls.h"

namespace vortex::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int64_t kAnswer = 24;

LabVariant variant(const std::string& flow, int64_t topk, int64_t block = 16) {
  if (flow.empty()) return {"dense", std::nullopt};
  VortexConfig config = sparse_config(flow, topk);
  config.block_size = block;
  return {fmt::format("{} {}/{}", flow, topk, block), config};
}

std::unique_ptr<FlowLab> open_lab(std::vector<LabVariant> variants, const EngineOptions& options = recall_options()) {
  auto lab = FlowLab::create(options, std::move(variants));
  if (lab.ok()) return std::move(lab).value();
  ADD_FAILURE() << lab.error().to_string();
  std::abort();
}

std::string create_error(std::vector<LabVariant> variants, const EngineOptions& options = recall_options()) {
  const auto lab = FlowLab::create(options, std::move(variants));
  return lab.ok() ? "no error" : lab.error().to_string();
}

void prefill(FlowLab& lab, std::span<const int32_t> prompt) {
  const Status reserved = lab.reserve(static_cast<int64_t>(prompt.size()), kAnswer);
  ASSERT_TRUE(reserved.ok()) << reserved.error().to_string();
  const Status done = lab.prefill(prompt, [](int64_t) { return true; });
  ASSERT_TRUE(done.ok()) << done.error().to_string();
}

/// What the engine answers under the same settings.
Completion engine_answer(const LabVariant& how, const std::vector<int32_t>& prompt) {
  EngineOptions options = recall_options();
  options.vortex = how.config;
  auto engine = start(options);
  GenerateRequest request = greedy_request(prompt, kAnswer);
  request.sampling.ignore_eos = false;
  return Pending(*engine, std::move(request)).wait();
}

void expect_same(const LabAnswer& answer, const Completion& expected, const std::string& what) {
  EXPECT_EQ(answer.tokens, expected.tokens) << what;
  EXPECT_EQ(answer.text, expected.text) << what;
  const SparsityReport &a = answer.reads.sparsity, &b = expected.sparsity;
  EXPECT_EQ(a.active, b.active) << what;
  EXPECT_EQ(a.flow, b.flow) << what;
  EXPECT_EQ(a.page_size, b.page_size) << what;
  EXPECT_EQ(a.pages_held, b.pages_held) << what;
  EXPECT_EQ(a.pages_read, b.pages_read) << what;
  EXPECT_EQ(a.steps_sparse, b.steps_sparse) << what;
  EXPECT_EQ(a.steps_dense, b.steps_dense) << what;
  EXPECT_EQ(a.layers_sparse, b.layers_sparse) << what;
}

TEST(FlowLabTest, AnswersAreTheEnginesInAnyOrder) {
  std::vector<LabVariant> variants = {variant("", 0),
                                      variant("gqa_quest_sparse_attention", 6),
                                      variant("gqa_quest_sparse_attention", 13),
                                      variant("block_sparse_attention", 8),
                                      variant("gqa_quest_sparse_attention", 20, 8),
                                      variant("running_avg_block_sparse", 8)};
  variants[2].config->layers_skip = std::vector<int64_t>{0, 3};
  auto lab = open_lab(variants);
  for (size_t tokens : {917u, 425u}) {
    const std::vector<int32_t> prompt = golden_prompt(tokens).ids;
    prefill(*lab, prompt);
    std::vector<Completion> expected;
    for (const LabVariant& one : variants) expected.push_back(engine_answer(one, prompt));
    for (size_t i : {0u, 5u, 1u, 2u, 3u, 4u, 1u, 5u, 0u}) {
      const auto answer = lab->answer(i, kAnswer);
      ASSERT_TRUE(answer.ok()) << answer.error().to_string();
      expect_same(*answer, expected[i], fmt::format("{} after {} tokens", variants[i].name, tokens));
    }
  }
}

TEST(FlowLabTest, BytesAreCountedByHand) {
  auto lab = open_lab({variant("gqa_quest_sparse_attention", 6)});
  const std::vector<int32_t> prompt = golden_prompt(917).ids;
  prefill(*lab, prompt);
  lab->start(0);
  ASSERT_TRUE(lab->step(7).ok());
  const LabReads& reads = lab->reads();
  const int64_t rows = 6 * 2, pages = 58, kv_page = 2 * 16 * 64 * 4;  // layers x kv heads; 918 tokens; float32
  EXPECT_EQ(reads.sparsity.pages_read, rows * 9);
  EXPECT_EQ(reads.page_bytes, rows * 9 * kv_page);
  EXPECT_EQ(reads.held_bytes, rows * pages * kv_page);
  EXPECT_EQ(reads.metadata_bytes, rows * (pages - 2) * 2 * 64 * 2);  // two bounds in bfloat16, all but the last pages
  EXPECT_DOUBLE_EQ(reads.byte_fraction(), (9.0 * kv_page + 56.0 * 256) / (58.0 * kv_page));
}

class AllPagesTest : public ::testing::TestWithParam<std::string> {};

TEST_P(AllPagesTest, InAnyOrderAreDense) {
  auto lab =
      open_lab({variant("", 0), variant("all", 4), variant("shuffled", 4)}, recall_options(model_folder(GetParam())));
  const std::vector<int32_t> prompt = golden_prompt(917).ids;
  prefill(*lab, prompt);
  lab->start(0);
  const auto dense = lab->step(prompt[5]);
  ASSERT_TRUE(dense.ok());
  const std::vector<float> expected(dense->begin(), dense->end());
  lab->start(1);
  const auto all = lab->step(prompt[5]);
  ASSERT_TRUE(all.ok());
  EXPECT_TRUE(std::ranges::equal(*all, expected)) << "the same pages in the same order";
  lab->start(2);
  const auto shuffled = lab->step(prompt[5]);
  ASSERT_TRUE(shuffled.ok());
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR((*shuffled)[i], expected[i], 2e-4f) << "token " << i;
  EXPECT_EQ(lab->reads().sparsity.pages_read, lab->reads().sparsity.pages_held);
}

INSTANTIATE_TEST_SUITE_P(Models, AllPagesTest, ::testing::Values("recall-gqa", "recall-mla"),
                         [](const auto& instance) { return instance.param.substr(7); });

TEST(FlowLabTest, FidelityOrdersTheSelections) {
  auto lab = open_lab({variant("shuffled", 4), variant("", 0), variant("oracle", 12), variant("random", 12),
                       variant("gqa_quest_sparse_attention", 12), variant("block_sparse_attention", 100)});
  const std::vector<int32_t> text = golden_prompt(1969).ids;
  int64_t last = 0;
  const auto result = measure_fidelity(*lab, text, 16, [&](int64_t done) {
    last = done;
    return true;
  });
  ASSERT_TRUE(result.ok()) << result.error().to_string();
  EXPECT_EQ(last, 1969 - 16 + 6 * 16);
  const Fidelity &all = (*result)[0], &dense = (*result)[1], &oracle = (*result)[2], &random = (*result)[3],
                 &quest = (*result)[4], &wide = (*result)[5];
  EXPECT_EQ(dense.kl, 0.0);
  EXPECT_EQ(dense.top_agreement, 1.0);
  EXPECT_LT(std::abs(all.kl), 1e-6);
  EXPECT_NEAR(all.mean_mass(), 1.0, 1e-9);
  EXPECT_NEAR(all.perplexity, dense.perplexity, 1e-3 * dense.perplexity);
  EXPECT_LT(oracle.kl, quest.kl);
  EXPECT_LT(quest.kl, random.kl);
  EXPECT_GT(oracle.mean_mass(), quest.mean_mass());
  EXPECT_GT(quest.mean_mass(), random.mean_mass());
  EXPECT_LT(wide.kl, random.kl);
  EXPECT_EQ(wide.reads.sparsity.pages_read, 16 * 6 * 2 * 103);
}

TEST(FlowLabTest, ProgressMayStopAPromptAndATail) {
  auto lab = open_lab({variant("", 0)});
  const std::vector<int32_t> text = golden_prompt(917).ids;
  ASSERT_TRUE(lab->reserve(917, 0).ok());
  const Status stopped = lab->prefill(text, [](int64_t) { return false; });
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, ErrorCode::kCancelled);
  int64_t last = 0;
  const auto result = measure_fidelity(*lab, text, 16, [&](int64_t done) { return (last = done) < 905; });
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(last, 905);
}

TEST(FlowLabTest, RefusalsSayWhy) {
  EXPECT_THAT(create_error({variant("gqa_quest_sparse_atention", 4)}),
              AllOf(HasSubstr("gqa_quest_sparse_atention"), HasSubstr("did you mean")));
  EngineOptions options = recall_options();
  options.page_size = 24;
  EXPECT_THAT(create_error({variant("block_sparse_attention", 4)}, options),
              AllOf(HasSubstr("--page-size"), HasSubstr("24"), HasSubstr("16")));
  auto lab = open_lab({variant("", 0)});
  const std::vector<int32_t> prompt = golden_prompt(917).ids;
  EXPECT_THAT(lab->reserve(9000, 0).error().to_string(), AllOf(HasSubstr("9000 tokens"), HasSubstr("8192")));
  ASSERT_TRUE(lab->reserve(8190, 9000).ok()) << "an answer may be cut short by the context";
  ASSERT_TRUE(lab->reserve(100, 0).ok());
  EXPECT_THAT(lab->prefill(prompt, [](int64_t) { return true; }).error().to_string(),
              AllOf(HasSubstr("917"), HasSubstr("112")));
  EXPECT_THAT(lab->prefill(std::vector<int32_t>{1, 4096}, [](int64_t) { return true; }).error().to_string(),
              HasSubstr("4096"));
  options = recall_options();
  options.kv_cache_memory_bytes = 1 << 20;
  EXPECT_THAT(open_lab({variant("", 0)}, options)->reserve(4000, 0).error().to_string(), HasSubstr("1048576"));
}

TEST(AttentionMassTest, IsTheSoftmaxByPage) {
  constexpr int kPages = 3, kTokens = 4, kDim = 32, kGroup = 2, kLast = 2;
  std::vector<float> keys(kPages * kTokens * kDim), queries(kGroup * kDim);
  for (size_t i = 0; i < keys.size(); ++i) keys[i] = std::sin(0.37f * static_cast<float>(i));
  for (size_t i = 0; i < queries.size(); ++i) queries[i] = std::cos(0.61f * static_cast<float>(i));
  FieldView k{reinterpret_cast<std::byte*>(keys.data()), kTokens * kDim * 4, kTokens, kDim, DType::kF32};
  PageView view{std::span(&k, 1), 1, kTokens, kTokens};
  const std::vector<SlabId> table = {2, 0, 1};
  StepPlan plan{.kv_heads = 1};
  plan.sequences.push_back(
      {.table = table, .tokens = 10, .pages = 3, .budget = 3, .selected = 3, .last_tokens = kLast});
  const model::Selection selection{&view, &plan, queries.data(), kGroup, 0.3f};
  double expected[kPages] = {};
  for (int g = 0; g < kGroup; ++g) {
    double by_page[kPages] = {}, total = 0;
    for (int page = 0; page < kPages; ++page) {
      for (int t = 0; t < (page == 2 ? kLast : kTokens); ++t) {
        double dot = 0;
        for (int d = 0; d < kDim; ++d)
          dot += double{queries[g * kDim + d]} * keys[(table[page] * kTokens + t) * kDim + d];
        by_page[page] += std::exp(0.3 * dot);
      }
      total += by_page[page];
    }
    for (int page = 0; page < kPages; ++page) expected[page] += by_page[page] / total / kGroup;
  }
  WorkerPool pool(2);
  AttentionMass mass(&pool);
  const auto actual = mass.of_row(selection, 0);
  ASSERT_EQ(actual.size(), 3u);
  for (size_t page = 0; page < 3; ++page) EXPECT_NEAR(actual[page], expected[page], 1e-6);
}

}  // namespace
}  // namespace vortex::testing
