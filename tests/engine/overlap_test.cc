// Steps launched before the last one is known give what steps one by one give, whatever happens in between.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "engine/engine_core.h"
#include "engine/engine_rig.h"
#include "engine/queued_runner.h"

namespace vortex::testing {
namespace {

using ::testing::HasSubstr;

/// A core with its answers, by request and index.
class Core {
 public:
  Core(const EngineOptions& options, bool queued) {
    auto files = open_model(options).value();
    const auto wrap = [this](std::unique_ptr<model::Runner> inner) -> std::unique_ptr<model::Runner> {
      auto runner = std::make_unique<QueuedRunner>(std::move(inner));
      runner_ = runner.get();
      return runner;
    };
    core_ = EngineCore::create(options, std::move(files), nullptr, queued ? wrap : EngineCore::RunnerWrapper()).value();
  }

  void add(uint64_t id, const GenerateRequest& request) {
    const Status added = core_->add(id, request, [this](const StreamEvent& event) {
      auto& answer = answers_[event.id + static_cast<uint64_t>(event.index)];
      if (event.token) answer.tokens.push_back(*event.token);
      if (event.completion != nullptr) answer = *event.completion;
    });
    EXPECT_TRUE(added.ok()) << added.error().to_string();
  }
  void run() {
    while (!core_->idle()) core_->step();
    const Status books = core_->check_integrity();
    EXPECT_TRUE(books.ok()) << books.error().to_string();
  }
  EngineCore& core() { return *core_; }
  QueuedRunner& runner() { return *runner_; }
  /// What was said of it so far.
  const Completion& answer(uint64_t id) { return answers_[id]; }

 private:
  QueuedRunner* runner_ = nullptr;
  std::map<uint64_t, Completion> answers_;
  std::unique_ptr<EngineCore> core_;
};

struct Task {
  GenerateRequest request;
  int64_t cancel_after = INT64_MAX;  // tokens of its first answer
  int64_t arrives = 0;               // at this step
};

GenerateRequest random_request(std::mt19937& random, const std::vector<int32_t>& text) {
  const auto below = [&](size_t n) { return random() % n; };
  GenerateRequest request = greedy_request({text.begin(), text.begin() + 20 + static_cast<int64_t>(below(120))},
                                           1 + static_cast<int64_t>(below(40)));
  sample::SamplingParams& sampling = request.sampling;
  sampling.ignore_eos = below(2) == 0;
  if (below(3) == 0) sampling.temperature = 1.5;
  sampling.seed = random();
  if (below(4) == 0) sampling.repetition_penalty = 1.25;
  if (below(6) == 0) sampling.logprobs = 1;
  if (below(4) == 0) sampling.min_tokens = 5;
  for (int i = 0; below(3) != 0 && i < 400; ++i) sampling.stop_token_ids.push_back(static_cast<int32_t>(below(2048)));
  if (below(8) == 0) request.n = 3;
  return request;
}

std::vector<Task> random_tasks(int count) {
  std::mt19937 random(7);
  const std::vector<int32_t> text = golden_prompt(425).ids;
  std::vector<Task> tasks(static_cast<size_t>(count));
  int64_t step = 0;
  for (Task& task : tasks) {
    task.request = random_request(random, text);
    task.arrives = step += static_cast<int64_t>(random() % 12);
    if (random() % 5 == 0) task.cancel_after = 1 + static_cast<int64_t>(random() % 8);
  }
  return tasks;
}

uint64_t id_of(size_t task) { return 1 + 10 * task; }

void run_tasks(const std::vector<Task>& tasks, Core* core) {
  size_t next = 0;
  for (int64_t step = 0; next < tasks.size() || !core->core().idle(); ++step) {
    for (; next < tasks.size() && tasks[next].arrives <= step; ++next) core->add(id_of(next), tasks[next].request);
    for (size_t i = 0; i < next; ++i)
      if (static_cast<int64_t>(core->answer(id_of(i)).tokens.size()) >= tasks[i].cancel_after)
        core->core().cancel(id_of(i));
    core->core().step();
  }
  core->run();
}

void expect_same(const std::vector<Task>& tasks, Core* one, Core* other) {
  for (size_t i = 0; i < tasks.size(); ++i) {
    for (uint64_t id = id_of(i); id < id_of(i) + static_cast<uint64_t>(tasks[i].request.n); ++id) {
      const Completion &a = one->answer(id), &b = other->answer(id);
      // The first answer is cancelled on its count of tokens, the others wherever they are then.
      const bool cancelled = a.finish_reason == FinishReason::kCancelled;
      const size_t shared = cancelled ? std::min(a.tokens.size(), b.tokens.size()) : a.tokens.size();
      ASSERT_GE(b.tokens.size(), shared) << id;
      EXPECT_TRUE(std::equal(a.tokens.begin(), a.tokens.begin() + static_cast<int64_t>(shared), b.tokens.begin()))
          << id;
      EXPECT_EQ(a.finish_reason, b.finish_reason) << id;
      EXPECT_TRUE(cancelled || a.tokens.size() == b.tokens.size()) << id;
    }
  }
}

EngineOptions crowded() {
  EngineOptions options = recall_options();
  options.max_num_seqs = 6;
  options.max_num_batched_tokens = 64;
  options.max_model_len = 512;
  return options;
}

TEST(OverlapTest, RandomRequestsGetTheSameTokens) {
  const std::vector<Task> tasks = random_tasks(50);
  Core plain(crowded(), false), queued(crowded(), true);
  run_tasks(tasks, &plain);
  run_tasks(tasks, &queued);
  expect_same(tasks, &plain, &queued);
  EXPECT_GT(queued.runner().launched_ahead(), 50);
  EXPECT_EQ(queued.runner().under_way(), 0);
}

TEST(OverlapTest, FullPoolsPreempt) {
  const std::vector<Task> tasks = random_tasks(30);
  EngineOptions tight = crowded();
  tight.enable_prefix_caching = false;
  Core measure(tight, false);
  tight.kv_cache_memory_bytes = measure.core().kv_bytes() / measure.core().kv_tokens() * 400;
  Core plain(tight, false), queued(tight, true);
  run_tasks(tasks, &plain);
  run_tasks(tasks, &queued);
  expect_same(tasks, &plain, &queued);
  EXPECT_GT(queued.core().stats().preemptions, 0);
  EXPECT_GT(queued.runner().launched_ahead(), 10);
}

TEST(OverlapTest, SparseDecodesReadTheSamePages) {
  EngineOptions options = crowded();
  options.vortex = sparse_config("gqa_quest_sparse_attention", 2);
  Core plain(options, false), queued(options, true);
  for (Core* core : {&plain, &queued}) {
    for (uint64_t id = 1; id <= 3; ++id) core->add(id, greedy_request(golden_prompt(425).ids, 20 + 5 * int64_t(id)));
    core->run();
  }
  for (uint64_t id = 1; id <= 3; ++id) {
    EXPECT_EQ(plain.answer(id).tokens, queued.answer(id).tokens);
    EXPECT_EQ(plain.answer(id).sparsity.pages_read, queued.answer(id).sparsity.pages_read);
    EXPECT_EQ(plain.answer(id).sparsity.steps_sparse, queued.answer(id).sparsity.steps_sparse);
  }
  EXPECT_GT(queued.runner().launched_ahead(), 20);
}

TEST(OverlapTest, CorruptedLogitsEndTheRequest) {
  Core queued(crowded(), true);
  queued.add(1, greedy_request(golden_prompt(53).ids, 30));
  while (queued.answer(1).tokens.size() < 4) queued.core().step();
  queued.runner().corrupt_next();
  queued.run();
  ASSERT_TRUE(queued.answer(1).error);
  EXPECT_THAT(queued.answer(1).error->to_string(), HasSubstr("not finite"));
  EXPECT_EQ(queued.core().stats().corrupted_requests, 1);
}

TEST(OverlapTest, FailingAllLeavesNothingUnderWay) {
  Core queued(crowded(), true);
  queued.add(1, greedy_request(golden_prompt(53).ids, 30));
  while (queued.runner().under_way() == 0) queued.core().step();
  queued.core().fail_all({ErrorCode::kUnavailable, "test", "no memory", ""});
  EXPECT_EQ(queued.runner().under_way(), 0);
  EXPECT_TRUE(queued.core().idle());
  queued.add(2, greedy_request(golden_prompt(53).ids, 5));
  queued.run();
  EXPECT_EQ(queued.answer(2).tokens.size(), 5u);
}

}  // namespace
}  // namespace vortex::testing
