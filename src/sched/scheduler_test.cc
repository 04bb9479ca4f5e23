#include "sched/scheduler_rig.h"

namespace vortex::sched {
namespace {

class SchedulerTest : public SchedulerRig {};

TEST_F(SchedulerTest, PromptRunsInChunksThenDecodes) {
  start(100, {.max_sequences = 2, .max_batched_tokens = 8, .max_length = 100});
  add(1, 18);
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
  add(1, 1);
  EXPECT_FALSE(step()[0].decode);
  EXPECT_TRUE(step()[0].decode);
}

TEST_F(SchedulerTest, DecodesComeFirstAndPromptsShareTheRest) {
  start(100, {.max_sequences = 4, .max_batched_tokens = 8, .max_length = 100});
  add(1, 4);
  step();
  add(2, 30);
  const StepBatch batch = step();
  ASSERT_EQ(batch.size(), 2u);
  EXPECT_EQ(batch[0].sequence->id, 1u);
  EXPECT_TRUE(batch[0].decode);
  EXPECT_EQ(batch[1].count, 7);
}

TEST_F(SchedulerTest, DecodesAheadAreTheNextTokensOfThoseThatGoOn) {
  start(100, {.max_sequences = 2, .max_batched_tokens = 16, .max_length = 100});
  const auto second_ends = [](const Sequence& s) { return s.id == 2; };
  for (uint64_t id = 1; id <= 2; ++id) add(id, 6);
  StepBatch under_way = scheduler_->next_step();
  EXPECT_TRUE(scheduler_->next_decodes(under_way, second_ends).empty()) << "prompts are under way";
  finish(under_way);
  under_way = scheduler_->next_step();
  const StepBatch ahead = scheduler_->next_decodes(under_way, second_ends);
  ASSERT_EQ(ahead.size(), 1u);
  EXPECT_EQ(ahead[0].sequence->id, 1u);
  EXPECT_EQ(ahead[0].begin, under_way[0].begin + 1);
  EXPECT_GE(ahead[0].sequence->table.capacity_tokens(), ahead[0].begin + 1);
  finish(under_way);
  finish(ahead);
  EXPECT_EQ(scheduler_->next_step()[0].begin, ahead[0].begin + 1);
}

TEST_F(SchedulerTest, NothingRunsAheadOfAnAdmissionOrWithoutSlabs) {
  const auto none_ends = [](const Sequence&) { return false; };
  start(2, {.max_sequences = 2, .max_batched_tokens = 16, .max_length = 100});
  add(1, 6);
  step();
  const StepBatch last_slot = scheduler_->next_step();
  EXPECT_EQ(last_slot[0].begin, 6);
  EXPECT_EQ(scheduler_->next_decodes(last_slot, none_ends).size(), 1u);
  finish(last_slot);
  const StepBatch full = scheduler_->next_step();
  EXPECT_TRUE(scheduler_->next_decodes(full, none_ends).empty()) << "a third slab is needed";
  add(2, 6);
  EXPECT_TRUE(scheduler_->next_decodes(last_slot, none_ends).empty()) << "somebody is to be admitted";
}

TEST_F(SchedulerTest, SequenceLimitHolds) {
  start(100, {.max_sequences = 2, .max_batched_tokens = 8, .max_length = 100});
  for (uint64_t id = 1; id <= 3; ++id) add(id, 1);
  EXPECT_EQ(step().size(), 2u);
  EXPECT_EQ(scheduler_->waiting(), 1);
  EXPECT_TRUE(scheduler_->remove(1));
  EXPECT_EQ(step().size(), 2u);
}

TEST_F(SchedulerTest, FullPoolPreemptsTheYoungestAndAllEnd) {
  start(6, {.max_sequences = 3, .max_batched_tokens = 16, .max_length = 24});
  add(1, 6);
  add(2, 6);
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
  const Limits limits{.max_sequences = 2, .max_batched_tokens = 8, .max_length = 100};
  const Status too_long = check_prompt(limits, 16, 100);
  ASSERT_FALSE(too_long.ok());
  EXPECT_EQ(too_long.error().message, "the prompt has 100 tokens, the context holds 100 with at least one to generate");
  const Status no_memory = check_prompt(limits, 16, 16);
  ASSERT_FALSE(no_memory.ok());
  EXPECT_EQ(no_memory.error().message, "the prompt has 16 tokens, the KV memory holds 16");
  EXPECT_FALSE(check_prompt(limits, 16, 0).ok());
  EXPECT_TRUE(check_prompt(limits, 16, 15).ok());
}

TEST_F(SchedulerTest, PriorityComesBeforeArrival) {
  start(100, {.max_sequences = 1, .max_batched_tokens = 8, .max_length = 100});
  add(1, 4, {.priority = 5});
  add(2, 4, {.priority = -1});
  add(3, 4, {.priority = 5});
  std::vector<uint64_t> order;
  while (!scheduler_->idle()) {
    order.push_back(step()[0].sequence->id);
    scheduler_->remove(order.back());
  }
  EXPECT_EQ(order, (std::vector<uint64_t>{2, 1, 3}));
}

TEST_F(SchedulerTest, TheLowestPriorityIsPreemptedAndComesBackFirst) {
  start(6, {.max_sequences = 3, .max_batched_tokens = 16, .max_length = 24});
  add(1, 6, {.priority = 1});
  step();
  add(2, 6, {.priority = 0});
  step();
  add(3, 1, {.priority = 1});
  int64_t steps = 0;
  std::vector<uint64_t> ended;
  while (!scheduler_->idle() && steps++ < 200) {
    for (const Chunk& chunk : step()) {
      if (chunk.sequence->id == 2) {
        EXPECT_EQ(chunk.sequence->preemptions, 0);
      }
      if (chunk.sequence->length() < 20) continue;
      ended.push_back(chunk.sequence->id);
      scheduler_->remove(chunk.sequence->id);
    }
  }
  EXPECT_EQ(ended, (std::vector<uint64_t>{2, 1, 3}));
  EXPECT_GT(scheduler_->counters().preemptions, 0);
}

/// With room for two of eight, everybody ends, and nobody waits behind one that came later.
TEST_F(SchedulerTest, NobodyStarvesUnderPressure) {
  start(12, {.max_sequences = 8, .max_batched_tokens = 32, .max_length = 24});
  for (uint64_t id = 1; id <= 8; ++id) add(id, 8);
  std::vector<uint64_t> ended;
  for (int64_t steps = 0; !scheduler_->idle() && steps < 1000; ++steps) {
    for (const Chunk& chunk : step()) {
      if (chunk.sequence->length() < 22) continue;
      ended.push_back(chunk.sequence->id);
      scheduler_->remove(chunk.sequence->id);
    }
  }
  EXPECT_EQ(ended, (std::vector<uint64_t>{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST_F(SchedulerTest, WhatWasDecodedSparselyIsDecodedAgain) {
  start(4, {.max_sequences = 2, .max_batched_tokens = 16, .max_length = 16});
  add(1, 4, {.replay_decodes = true});
  add(2, 4, {.replay_decodes = true});
  bool replayed = false;
  for (int64_t steps = 0; !scheduler_->idle() && steps < 200; ++steps) {
    for (const Chunk& chunk : step()) {
      const bool in_prompt = chunk.sequence->computed <= chunk.sequence->prompt_tokens && !chunk.decode;
      EXPECT_TRUE(in_prompt || (chunk.decode && chunk.count == 1));
      replayed |= chunk.decode && !chunk.last;
      if (chunk.sequence->length() >= 12) scheduler_->remove(chunk.sequence->id);
    }
  }
  EXPECT_TRUE(replayed);
  EXPECT_TRUE(scheduler_->idle());
}

TEST_F(SchedulerTest, LongPromptsArePacedBesideDecodes) {
  start(100, {.max_sequences = 4, .max_batched_tokens = 8, .max_length = 200, .long_prompt = 20});
  add(1, 2);
  step();
  add(2, 40);
  add(3, 10);
  const StepBatch batch = scheduler_->next_step(/*paced_tokens=*/1);
  ASSERT_EQ(batch.size(), 3u);
  EXPECT_TRUE(batch[0].decode);
  EXPECT_EQ(batch[1].sequence->id, 3u) << "a short prompt passes";
  EXPECT_EQ(batch[1].count, 6);
  EXPECT_EQ(batch[2].count, 1);
  finish(batch);
  EXPECT_EQ(scheduler_->next_step(0).size(), 2u) << "the long one sits out";
}

TEST_F(SchedulerTest, ALongPromptAloneTakesTheWholeStepAndSharesItWithShortOnes) {
  start(100, {.max_sequences = 4, .max_batched_tokens = 8, .max_length = 200, .long_prompt = 20});
  add(1, 40);
  EXPECT_EQ(step(/*paced=*/0)[0].count, 8) << "nobody decodes";
  add(2, 19);
  const StepBatch batch = step(/*paced=*/0);
  ASSERT_EQ(batch.size(), 2u);
  EXPECT_EQ(batch[0].sequence->id, 2u);
  EXPECT_EQ(batch[0].count, 6);
  EXPECT_EQ(batch[1].count, 2) << "a quarter is the long one's";
}

TEST_F(SchedulerTest, NamesThoseWhoWaitedTooLong) {
  start(100, {.max_sequences = 1, .max_batched_tokens = 8, .max_length = 100});
  add(1, 4, {.queue_deadline = 5});
  step();
  add(2, 4, {.queue_deadline = 5});
  add(3, 4);
  EXPECT_TRUE(scheduler_->expired(4).empty());
  EXPECT_EQ(scheduler_->expired(6), std::vector<uint64_t>{2}) << "what runs does not expire";
}

}  // namespace
}  // namespace vortex::sched
