// Records of selections: what attention read is what the flow scored highest, and recording changes no answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "engine/engine_rig.h"
#include "engine/selection_recorder.h"

namespace vortex::testing {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Engine> sparse_engine(const std::string& flow) {
  EngineOptions options = recall_options();
  options.vortex = sparse_config(flow, 6);
  options.vortex->layers_skip = {0};
  return start(options);
}

GenerateRequest recorded_request(size_t tokens, int64_t count) {
  GenerateRequest request = greedy_request(golden_prompt(tokens).ids, count);
  request.selections = std::make_shared<SelectionRecord>();
  return request;
}

/// The reserved pages and the k best of the others, ties to the lower one: worked out from the scores.
std::vector<int32_t> best_pages(const std::vector<float>& scores, int64_t pages, size_t k) {
  std::vector<int32_t> middle(static_cast<size_t>(pages) - 3);  // one page reserved in front, two at the end
  std::iota(middle.begin(), middle.end(), 1);
  std::ranges::stable_sort(
      middle, [&](int32_t a, int32_t b) { return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)]; });
  middle.resize(k);
  for (int64_t page : {int64_t{0}, pages - 2, pages - 1}) middle.push_back(static_cast<int32_t>(page));
  std::ranges::sort(middle);
  return middle;
}

TEST(SelectionRecord, HoldsWhatWasReadAndWhy) {
  const auto engine = sparse_engine("gqa_quest_sparse_attention");
  GenerateRequest request = recorded_request(425, 12);
  const auto record = request.selections;
  const Completion done = Pending(*engine, std::move(request)).wait();
  EXPECT_EQ(done.tokens, Pending(*engine, greedy_request(golden_prompt(425).ids, 12)).wait().tokens);
  const int kv_heads = engine->info().config.kv_heads;
  ASSERT_EQ(record->layers.size(), static_cast<size_t>(engine->info().config.layers - 1));
  EXPECT_EQ(record->layers.front(), 1);
  EXPECT_EQ(record->kv_heads, kv_heads);
  EXPECT_EQ(record->page_tokens, 16);
  ASSERT_EQ(record->steps.size(), 11u);
  int64_t read = 0;
  for (size_t i = 0; i < record->steps.size(); ++i) {
    const SelectionStep& step = record->steps[i];
    EXPECT_EQ(step.tokens, 426 + static_cast<int64_t>(i));
    EXPECT_EQ(step.pages, (step.tokens + 15) / 16);
    ASSERT_EQ(step.rows.size(), record->layers.size() * static_cast<size_t>(kv_heads));
    for (const RowSelection& row : step.rows) {
      ASSERT_EQ(row.scores.size(), static_cast<size_t>(step.pages - 2));
      EXPECT_EQ(row.pages, best_pages(row.scores, step.pages, 6));
      read += static_cast<int64_t>(row.pages.size());
    }
  }
  EXPECT_EQ(read, done.sparsity.pages_read);
}

TEST(SelectionRecord, AFlowThatSavesIsNotDisturbed) {
  const auto engine = sparse_engine("running_avg_block_sparse");
  const auto plain = Pending(*engine, greedy_request(golden_prompt(425).ids, 24)).wait();
  EXPECT_EQ(Pending(*engine, recorded_request(425, 24)).wait().tokens, plain.tokens);
}

TEST(SelectionRecord, InABatchItIsTheRequestsOwn) {
  const auto engine = sparse_engine("gqa_quest_sparse_attention");
  GenerateRequest alone = recorded_request(425, 8), beside = recorded_request(425, 8);
  const auto expected = alone.selections, got = beside.selections;
  Pending(*engine, std::move(alone)).wait();
  run_together(*engine, {greedy_request(golden_prompt(53).ids, 30), std::move(beside),
                         greedy_request(golden_prompt(917).ids, 8)});
  ASSERT_EQ(got->steps.size(), expected->steps.size());
  for (size_t i = 0; i < got->steps.size(); ++i) {
    ASSERT_EQ(got->steps[i].rows.size(), expected->steps[i].rows.size());
    for (size_t r = 0; r < got->steps[i].rows.size(); ++r)
      EXPECT_EQ(got->steps[i].rows[r].pages, expected->steps[i].rows[r].pages);
  }
}

TEST(SelectionRecord, ShortContextsAreDense) {
  const auto engine = sparse_engine("gqa_quest_sparse_attention");
  GenerateRequest request = recorded_request(53, 4);
  const auto record = request.selections;
  Pending(*engine, std::move(request)).wait();
  ASSERT_EQ(record->steps.size(), 3u);
  for (const SelectionStep& step : record->steps) EXPECT_TRUE(step.rows.empty());
}

TEST(SelectionRecord, WhatCannotBeRecordedIsRefused) {
  const auto engine = sparse_engine("gqa_quest_sparse_attention");
  const auto error_of = [](const Engine& e, const GenerateRequest& request) {
    const Status status = e.check(request);
    return status.ok() ? "no error" : status.error().to_string();
  };
  GenerateRequest two = recorded_request(425, 4);
  two.n = 2;
  EXPECT_THAT(error_of(*engine, two), HasSubstr("selections: 2 answers (ask for one)"));
  EXPECT_EQ(error_of(*engine, recorded_request(425, 100)), "no error");
  EXPECT_THAT(error_of(*start(recall_options()), recorded_request(425, 4)), HasSubstr("attention is dense"));
}

TEST(SelectionRecord, ItsSizeIsBounded) {
  const GenerateRequest request = recorded_request(4012, 28000);
  EXPECT_TRUE(check_record(request, 4, 2, 16, 8192).ok());
  const Status large = check_record(request, 28, 8, 16, 40000);
  ASSERT_FALSE(large.ok());
  EXPECT_EQ(large.error().to_string(),
            "selections: a record of 28000 steps over 2001 pages takes 93.5 GiB, the most is 1 (lower max_tokens)");
  EXPECT_EQ(large.error().code, ErrorCode::kResourceExhausted);
}

}  // namespace
}  // namespace vortex::testing
