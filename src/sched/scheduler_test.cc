#include "sched/scheduler.h"

#include <gtest/gtest.h>

namespace vortex::sched {
namespace {

class SchedulerTest : public ::testing::Test {
 protected:
  static constexpr int kSlabTokens = 4;

  void start(int slabs, Limits limits) {
    allocator_ = std::make_unique<kv::SlabAllocator>(slabs);
    scheduler_ = std::make_unique<Scheduler>(limits, allocator_.get(), kSlabTokens);
  }
  Status add(uint64_t id, int64_t prompt) {
    std::vector<int32_t> tokens(static_cast<size_t>(prompt), 7);
    return scheduler_->add(std::make_unique<Sequence>(id, tokens, allocator_.get(), kSlabTokens));
  }
  /// Runs a step as the engine does: every chunk that reaches the end gains a token.
  StepBatch step() {
    StepBatch batch = scheduler_->next_step();
    for (const Chunk& chunk : batch)
      if (chunk.last) chunk.sequence->tokens.push_back(1);
    scheduler_->finish_step(batch);
    EXPECT_TRUE(allocator_->check_integrity().ok());
    return batch;
  }

  std::unique_ptr<kv::SlabAllocator> allocator_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerTest, PromptRunsInChunksThenDecodes) {
  start(100, {.max_sequences = 2, .max_batched_tokens = 8, .max_length = 100});
  ASSERT_TRUE(add(1, 18).ok());
  EXPECT_EQ(step()[0].count, 8);
  EXPECT_EQ(step()[0].count, 8);
  const StepBatch third = step();
  EXPECT_EQ(third[0].count, 2);
  EXPECT_TRUE(third[0].last);
  EXPECT_FALSE(third[0].decode) << "the last prompt chunk is prefill";
  const StepBatch fourth = step();
  EXPECT_EQ(fourth[0].count, 1);
  EXPECT_TRUE(fourth[0].decode);
}

TEST_F(SchedulerTest, OneTokenPromptIsPrefill) {
  start(100, {.max_sequences = 2, .max_batched_tokens = 8, .max_length = 100});
  ASSERT_TRUE(add(1, 1).ok());
  EXPECT_FALSE(step()[0].decode);
  EXPECT_TRUE(step()[0].decode);
}

TEST_F(SchedulerTest, DecodesComeFirstAndPromptsShareTheRest) {
  start(100, {.max_sequences = 4, .max_batched_tokens = 8, .max_length = 100});
  ASSERT_TRUE(add(1, 4).ok());
  step();
  ASSERT_TRUE(add(2, 30).ok());
  const StepBatch batch = step();
  ASSERT_EQ(batch.size(), 2u);
  EXPECT_EQ(batch[0].sequence->id, 1u);
  EXPECT_TRUE(batch[0].decode);
  EXPECT_EQ(batch[1].count, 7);
}

TEST_F(SchedulerTest, SequenceLimitHolds) {
  start(100, {.max_sequences = 2, .max_batched_tokens = 8, .max_length = 100});
  for (uint64_t id = 1; id <= 3; ++id) ASSERT_TRUE(add(id, 1).ok());
  EXPECT_EQ(step().size(), 2u);
  EXPECT_EQ(scheduler_->waiting(), 1);
  EXPECT_TRUE(scheduler_->remove(1));
  EXPECT_EQ(step().size(), 2u);
}

TEST_F(SchedulerTest, FullPoolPreemptsTheYoungestAndAllEnd) {
  start(6, {.max_sequences = 3, .max_batched_tokens = 16, .max_length = 24});
  ASSERT_TRUE(add(1, 6).ok());
  ASSERT_TRUE(add(2, 6).ok());
  int64_t steps = 0;
  bool preempted = false;
  while (!scheduler_->idle() && steps++ < 200) {
    const StepBatch batch = step();
    ASSERT_FALSE(batch.empty());
    for (const Chunk& chunk : batch) {
      preempted |= chunk.sequence->preemptions > 0;
      if (chunk.sequence->length() >= 20) scheduler_->remove(chunk.sequence->id);
    }
  }
  EXPECT_TRUE(preempted);
  EXPECT_TRUE(scheduler_->idle());
  EXPECT_EQ(allocator_->free_slabs(), 6);
}

TEST_F(SchedulerTest, RefusesWhatCanNeverRunWithBothNumbers) {
  start(4, {.max_sequences = 2, .max_batched_tokens = 8, .max_length = 100});
  const Status too_long = add(1, 100);
  ASSERT_FALSE(too_long.ok());
  EXPECT_EQ(too_long.error().message, "the prompt has 100 tokens, the context holds 100 with at least one to generate");
  const Status no_memory = add(2, 16);
  ASSERT_FALSE(no_memory.ok());
  EXPECT_EQ(no_memory.error().message, "the prompt has 16 tokens, the KV memory holds 16");
  EXPECT_FALSE(add(3, 0).ok());
  EXPECT_FALSE(scheduler_->remove(1));
}

}  // namespace
}  // namespace vortex::sched
