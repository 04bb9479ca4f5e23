// Prefix cache, several answers, preemption and priorities: the same tokens, whatever is shared.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "engine/engine_rig.h"

namespace vortex::testing {
namespace {

using Tokens = std::vector<int32_t>;

Tokens alone(const EngineOptions& options, const GenerateRequest& request) {
  auto engine = start(options);
  return Pending(*engine, request).wait().tokens;
}

EngineOptions sparse_options() {
  EngineOptions options = recall_options();
  options.vortex = sparse_config("gqa_quest_sparse_attention", 8);
  return options;
}

/// Statistics are as of the last step, which may still be on its way out.
EngineStats settled(const Engine& engine) {
  for (int i = 0; i < 200 && engine.stats().running > 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return engine.stats();
}

/// The same with a pool of so many tokens.
EngineOptions with_pool(EngineOptions options, int64_t tokens) {
  auto engine = start(options);
  options.kv_cache_memory_bytes = engine->info().kv_bytes / engine->stats().pages_total * (tokens / 16);
  return options;
}

/// Eight prompts that begin alike.
std::vector<GenerateRequest> eight_requests() {
  const Tokens prompt = golden_prompt(917).ids;
  std::vector<GenerateRequest> requests;
  for (size_t i = 0; i < 8; ++i) {
    const size_t length = 917 - 60 * i;
    requests.push_back(greedy_request(Tokens(prompt.begin(), prompt.begin() + static_cast<int64_t>(length)), 24));
  }
  return requests;
}

/// What each request gives on an engine of its own, without a cache.
std::vector<Tokens> baseline(EngineOptions options) {
  options.enable_prefix_caching = false;
  auto engine = start(options);
  std::vector<Tokens> out;
  for (const GenerateRequest& request : eight_requests()) out.push_back(Pending(*engine, request).wait().tokens);
  return out;
}

struct Setup {
  std::string name, model, flow;  // no flow: dense
  std::string kv = "auto";
};

class BatchInvarianceTest : public ::testing::TestWithParam<Setup> {
 protected:
  EngineOptions options() const {
    EngineOptions options = recall_options(model_folder(GetParam().model));
    options.kv_cache_dtype = GetParam().kv;
    if (!GetParam().flow.empty()) options.vortex = sparse_config(GetParam().flow, 8);
    return options;
  }
};

TEST_P(BatchInvarianceTest, SameTokensAloneAndInABatchOfEight) {
  EngineOptions o = options();
  const auto expected = baseline(o);
  for (const bool cache : {false, true}) {
    o.enable_prefix_caching = cache;
    auto engine = start(o);
    EXPECT_EQ(run_together(*engine, eight_requests()), expected) << "cache " << cache;
    EXPECT_EQ(run_together(*engine, eight_requests()), expected) << "again, cache " << cache;
    EXPECT_EQ(engine->stats().prefix_hits > 0, cache);
  }
}

/// The pool holds two of them: the others are preempted and computed again.
TEST_P(BatchInvarianceTest, Case57SameTokensAfterPreemption) {
  EngineOptions o = options();
  const auto expected = baseline(o);
  o = with_pool(o, 1920);
  for (const bool cache : {false, true}) {
    o.enable_prefix_caching = cache;
    auto engine = start(o);
    EXPECT_EQ(run_together(*engine, eight_requests()), expected) << "cache " << cache;
    EXPECT_EQ(settled(*engine).pages_used, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(
    DenseAndSparse, BatchInvarianceTest,
    ::testing::Values(Setup{"dense", "recall-gqa", ""}, Setup{"quest", "recall-gqa", "gqa_quest_sparse_attention"},
                      Setup{"int8_dense", "recall-gqa", "", "int8"},
                      Setup{"int8_quest", "recall-gqa", "gqa_quest_sparse_attention", "int8"},
                      Setup{"int8_latent_centroid", "recall-mla", "rope_aware_block_sparse_mla", "int8"},
                      Setup{"latent_dense", "recall-mla", ""},
                      Setup{"latent_centroid", "recall-mla", "rope_aware_block_sparse_mla"}),
    [](const auto& instance) { return instance.param.name; });

TEST(PreemptionTest, HappensAndIsReplayed) {
  EngineOptions options = sparse_options();
  options.enable_prefix_caching = false;
  const Tokens prompt(golden_prompt(425).ids);
  const GenerateRequest request = greedy_request(prompt, 200);
  const Tokens expected = alone(options, request);
  auto engine = start(with_pool(options, 960));
  const auto both = run_together(*engine, {request, request});
  EXPECT_EQ(both[0], expected);
  EXPECT_EQ(both[1], expected);
  EXPECT_GT(settled(*engine).preemptions, 0);
}

TEST(PrefixCacheTest, TheSecondTimeAPromptStartsFromItsPages) {
  auto engine = start(sparse_options());
  const GenerateRequest request = greedy_request(golden_prompt(917).ids, 8);
  const Completion first = Pending(*engine, request).wait(), second = Pending(*engine, request).wait();
  EXPECT_EQ(first.usage.cached_tokens, 0);
  EXPECT_EQ(second.usage.cached_tokens, 912);
  EXPECT_EQ(second.tokens, first.tokens);
  EXPECT_EQ(second.sparsity.pages_read, first.sparsity.pages_read);
}

TEST(PrefixCacheTest, SaltsKeepApart) {
  auto engine = start(recall_options());
  GenerateRequest request = greedy_request(golden_prompt(425).ids, 2);
  for (const auto& [salt, cached] : {std::pair("a", 0), {"b", 0}, {"a", 416}}) {
    request.cache_salt = salt;
    EXPECT_EQ(Pending(*engine, request).wait().usage.cached_tokens, cached) << salt;
  }
}

/// A conversation: the answer becomes part of the next prompt, and its pages serve where they were decoded densely.
TEST(PrefixCacheTest, AnAnswerIsKeptWhereItWasDense) {
  for (const bool sparse : {false, true}) {
    auto engine = start(sparse ? sparse_options() : recall_options());
    Tokens prompt = golden_prompt(425).ids;
    const Completion first = Pending(*engine, greedy_request(prompt, 100)).wait();
    prompt.insert(prompt.end(), first.tokens.begin(), first.tokens.end());
    prompt.push_back(5);
    EXPECT_EQ(Pending(*engine, greedy_request(prompt, 1)).wait().usage.cached_tokens, sparse ? 416 : 512);
  }
}

/// Answers of one request, by index.
std::vector<Completion> run_answers(Engine& engine, const GenerateRequest& request) {
  std::mutex mutex;
  std::condition_variable done;
  std::vector<Completion> out(static_cast<size_t>(request.n));
  int left = request.n;
  engine.submit(request, [&](const StreamEvent& event) {
    if (event.completion == nullptr) return;
    const std::lock_guard lock(mutex);
    out[static_cast<size_t>(event.index)] = *event.completion;
    if (--left == 0) done.notify_one();
  });
  std::unique_lock lock(mutex);
  EXPECT_TRUE(done.wait_for(lock, std::chrono::minutes(1), [&] { return left == 0; }));
  return out;
}

TEST(SeveralAnswersTest, ShareThePromptAndDiffer) {
  for (const bool cache : {false, true}) {
    EngineOptions options = recall_options();
    options.enable_prefix_caching = cache;
    auto engine = start(options);
    GenerateRequest request = greedy_request(golden_prompt(917).ids, 16);
    const Tokens greedy = Pending(*engine, request).wait().tokens;
    request.n = 4;
    for (const Completion& answer : run_answers(*engine, request)) EXPECT_EQ(answer.tokens, greedy);
    request.sampling.temperature = 1.5;
    request.sampling.seed = 11;
    const auto answers = run_answers(*engine, request);
    EXPECT_NE(answers[0].tokens, answers[1].tokens);
    EXPECT_EQ(answers[3].usage.cached_tokens, 912) << "its leader's pages";
    request.n = 1;
    EXPECT_EQ(Pending(*engine, request).wait().tokens, answers[0].tokens) << "the first answer is the seed's own";
    EXPECT_EQ(settled(*engine).pages_used, 0);
  }
}

TEST(SeveralAnswersTest, CancelEndsAllOfThem) {
  auto engine = start(recall_options());
  GenerateRequest request = greedy_request(golden_prompt(4012).ids, 500);
  request.n = 3;
  std::mutex mutex;
  std::condition_variable done;
  std::vector<FinishReason> ends;
  const uint64_t id = engine->submit(request, [&](const StreamEvent& event) {
    const std::lock_guard lock(mutex);
    if (event.completion != nullptr) ends.push_back(event.completion->finish_reason);
    done.notify_one();
  });
  engine->cancel(id);
  std::unique_lock lock(mutex);
  EXPECT_TRUE(done.wait_for(lock, std::chrono::minutes(1), [&] { return ends.size() == 3; }));
  EXPECT_EQ(ends, std::vector<FinishReason>(3, FinishReason::kCancelled));
}

TEST(LogprobsTest, OfTheAnswerEqualThoseOfTheSamePrompt) {
  EngineOptions options = recall_options();
  auto engine = start(options);
  GenerateRequest request = greedy_request(golden_prompt(425).ids, 20);
  request.sampling.logprobs = 3;
  const Completion answer = Pending(*engine, request).wait();
  ASSERT_EQ(answer.logprobs.size(), 20u);
  // The same tokens as a prompt, in chunks of their own.
  GenerateRequest forced = greedy_request(request.prompt, 1);
  forced.prompt.insert(forced.prompt.end(), answer.tokens.begin(), answer.tokens.end());
  forced.sampling.prompt_logprobs = 3;
  const Completion scored = Pending(*engine, forced).wait();
  ASSERT_EQ(scored.prompt_logprobs.size(), forced.prompt.size() - 1);
  EXPECT_EQ(scored.usage.cached_tokens, 0);
  double sum = 0;
  for (size_t i = 0; i < 20; ++i) {
    const TokenLogprobs& a = answer.logprobs[i];
    const TokenLogprobs& b = scored.prompt_logprobs[request.prompt.size() - 1 + i];
    EXPECT_EQ(a.chosen.token, b.chosen.token);
    EXPECT_NEAR(a.chosen.logprob, b.chosen.logprob, 1e-3);
    EXPECT_EQ(a.chosen.rank, 1) << "greedy";
    EXPECT_EQ(a.top.size(), 3u);
    EXPECT_EQ(a.top[0].token, a.chosen.token);
    sum += a.chosen.logprob;
  }
  EXPECT_NEAR(answer.cumulative_logprob, sum, 1e-4);
}

TEST(QueueTest, ARequestThatWaitsTooLongIsRefused) {
  EngineOptions options = recall_options();
  options.max_num_seqs = 1;
  auto engine = start(options);
  Pending first(*engine, greedy_request(golden_prompt(425).ids, 3000));
  first.wait_for_text();
  GenerateRequest second = greedy_request({5, 6, 7}, 4);
  second.queue_timeout_s = 0.05;
  const Completion refused = Pending(*engine, second).wait();
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->code, ErrorCode::kUnavailable);
  EXPECT_EQ(refused.error->where, "queue");
  engine->cancel(first.id());
  EXPECT_EQ(first.wait().finish_reason, FinishReason::kCancelled);
}

TEST(SparsityRequestTest, ARequestChoosesItsBudgetWithinTheServersLimit) {
  EngineOptions options = sparse_options();
  options.vortex->max_topk_val = 40;
  auto engine = start(options);
  GenerateRequest request = greedy_request(golden_prompt(917).ids, 8);
  const Completion usual = Pending(*engine, request).wait();
  request.sparsity.topk_val = 20;
  const Completion more = Pending(*engine, request).wait();
  EXPECT_GT(more.sparsity.pages_read, usual.sparsity.pages_read);
  request.sparsity = {.dense = true};
  const Completion dense = Pending(*engine, request).wait();
  EXPECT_EQ(dense.sparsity.pages_read, dense.sparsity.pages_held);
  EXPECT_EQ(dense.tokens, alone(recall_options(), greedy_request(request.prompt, 8)));
  request.sparsity = {.topk_val = 41};
  EXPECT_THAT(engine->check(request).error().to_string(), ::testing::HasSubstr("more than the server allows"));
  request.sparsity = {.topk_ratio = 1.5};
  EXPECT_FALSE(engine->check(request).ok());
}

}  // namespace
}  // namespace vortex::testing
