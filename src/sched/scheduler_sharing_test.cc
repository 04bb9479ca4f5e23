// Pages that several sequences share: the prefix cache, and the answers of one request.
#include <numeric>

#include "sched/scheduler_rig.h"

namespace vortex::sched {
namespace {

class SharingTest : public SchedulerRig {
 protected:
  static constexpr Limits kLimits{.max_sequences = 4, .max_batched_tokens = 64, .max_length = 64};

  static std::vector<int32_t> counting(int64_t n) {
    std::vector<int32_t> tokens(static_cast<size_t>(n));
    std::iota(tokens.begin(), tokens.end(), 100);
    return tokens;
  }
  std::unique_ptr<Sequence> group(uint64_t first, int n, int64_t prompt, const SequenceOptions& options = {}) {
    auto leader = sequence(first, counting(prompt), options);
    for (int i = 1; i < n; ++i)
      leader->followers.push_back(sequence(first + static_cast<uint64_t>(i), counting(prompt), options));
    return leader;
  }
};

TEST_F(SharingTest, ASecondPromptStartsFromThePagesOfTheFirst) {
  start(20, kLimits, /*with_cache=*/true);
  scheduler_->add(sequence(1, counting(18)));
  step();
  scheduler_->remove(1);
  scheduler_->add(sequence(2, counting(20)));
  const StepBatch batch = step();
  EXPECT_EQ(batch[0].sequence->cached, 16);
  EXPECT_EQ(batch[0].count, 4);
  EXPECT_EQ(scheduler_->counters().prefix_hits, 16);
  EXPECT_EQ(scheduler_->counters().prefix_queries, 38);
}

TEST_F(SharingTest, OneTokenIsAlwaysComputed) {
  start(20, kLimits, true);
  for (uint64_t id : {1, 2}) {
    scheduler_->add(sequence(id, counting(16)));
    EXPECT_EQ(step()[0].count, id == 1 ? 16 : 4) << "the logits of the last token are wanted";
    scheduler_->remove(id);
  }
}

/// Prompts that come together and begin alike: one computes the beginning, and others pass meanwhile.
TEST_F(SharingTest, APromptWaitsForWhatAnotherIsComputing) {
  start(100, {.max_sequences = 4, .max_batched_tokens = 50, .max_length = 200}, /*with_cache=*/true);
  for (uint64_t id : {1, 2}) scheduler_->add(sequence(id, counting(100)));
  add(3, 10);
  StepBatch batch = step();
  ASSERT_EQ(batch.size(), 1u);
  EXPECT_EQ(scheduler_->running(), 2) << "the third passed the second";
  while (scheduler_->waiting() > 0) batch = step();
  ASSERT_EQ(batch[1].sequence->id, 2u);
  EXPECT_EQ(batch[1].sequence->cached, 96);
  EXPECT_EQ(batch[1].count, 4);
}

TEST_F(SharingTest, OtherSaltsAndThoseWhoDeclineShareNothing) {
  start(40, kLimits, true);
  scheduler_->add(sequence(1, counting(16), {.salt = "a"}));
  step();
  scheduler_->add(sequence(2, counting(17), {.salt = "b"}));
  scheduler_->add(sequence(3, counting(17), {.salt = "a", .share_prefix = false}));
  scheduler_->add(sequence(4, counting(17), {.salt = "a"}));
  for (const Chunk& chunk : step()) {
    if (chunk.sequence->id == 1) continue;
    EXPECT_EQ(chunk.sequence->cached, chunk.sequence->id == 4 ? 16 : 0) << chunk.sequence->id;
  }
}

TEST_F(SharingTest, KeptPagesGiveWayToThoseWhoRun) {
  start(6, kLimits, true);
  scheduler_->add(sequence(1, counting(20)));
  step();
  scheduler_->remove(1);
  EXPECT_EQ(allocator_->idle_slabs(), 5);
  add(2, 21);
  EXPECT_EQ(step()[0].count, 21);
  EXPECT_EQ(scheduler_->counters().preemptions, 0);
}

TEST_F(SharingTest, WhatSparseDecodesWroteIsNotKept) {
  start(20, kLimits, true);
  scheduler_->add(sequence(1, counting(6), {.replay_decodes = true}));
  for (int i = 0; i < 12; ++i) {
    StepBatch batch = scheduler_->next_step();
    batch[0].sparse = batch[0].decode && i > 3;  // tokens 6, 7 and 8 are decoded densely
    finish(batch);
  }
  Sequence* s = scheduler_->next_step()[0].sequence;
  EXPECT_EQ(s->computed, 17);
  EXPECT_EQ(s->dense, 9);
  scheduler_->publish(s);
  EXPECT_EQ(cache_->size(), 2);
}

TEST_F(SharingTest, AnswersOfOneRequestShareItsPrompt) {
  for (const bool with_cache : {false, true}) {
    start(20, kLimits, with_cache);
    scheduler_->add(group(1, 4, 18));
    EXPECT_EQ(scheduler_->waiting(), 4);
    EXPECT_EQ(step().size(), 1u) << "the first computes the prompt";
    const StepBatch batch = step();
    ASSERT_EQ(batch.size(), 4u);
    for (const Chunk& chunk : batch)
      if (chunk.sequence->id > 1) {
        EXPECT_EQ(chunk.count, 2) << "the tail of the prompt";
      }
    EXPECT_EQ(allocator_->capacity() - allocator_->free_slabs() - allocator_->idle_slabs(), 4 + 4);
    for (uint64_t id = 1; id <= 4; ++id) EXPECT_TRUE(scheduler_->remove(id));
    EXPECT_EQ(allocator_->free_slabs() + allocator_->idle_slabs(), 20);
  }
}

TEST_F(SharingTest, WhenTheFirstAnswerGoesTheNextTakesItsPlace) {
  start(20, kLimits);
  scheduler_->add(group(1, 3, 18));
  EXPECT_TRUE(scheduler_->remove(1));
  EXPECT_TRUE(scheduler_->remove(3)) << "one that waits for another";
  EXPECT_EQ(scheduler_->waiting(), 1);
  EXPECT_EQ(step()[0].sequence->id, 2u);
  EXPECT_TRUE(scheduler_->remove(2));
  EXPECT_TRUE(scheduler_->idle());
  EXPECT_EQ(allocator_->free_slabs(), 20);
}

TEST_F(SharingTest, WaitingAnswersGiveUpPagesRatherThanStopOthers) {
  start(8, {.max_sequences = 1, .max_batched_tokens = 64, .max_length = 32});
  scheduler_->add(group(1, 2, 16));
  for (int i = 0; i < 100 && !scheduler_->idle(); ++i)
    for (const Chunk& chunk : step())
      if (chunk.sequence->length() >= 31) scheduler_->remove(chunk.sequence->id);
  EXPECT_TRUE(scheduler_->idle());
  EXPECT_EQ(allocator_->free_slabs(), 8);
}

/// Random arrivals, ends and cancels on a small pool with everything on: nothing leaks, everybody ends.
TEST_F(SharingTest, RandomTrafficLeaksNothing) {
  start(24, {.max_sequences = 5, .max_batched_tokens = 16, .max_length = 64, .long_prompt = 24}, true);
  uint32_t random = 1;
  const auto draw = [&](uint32_t n) { return (random = random * 1664525u + 1013904223u) / 65536u % n; };
  uint64_t next_id = 1;
  for (int i = 0; i < 4000; ++i) {
    if (i < 3000 && draw(4) == 0 && scheduler_->waiting() < 20) {
      const int n = 1 + static_cast<int>(draw(3));
      SequenceOptions options;
      options.priority = draw(2);
      options.replay_decodes = draw(2) == 0;
      options.salt = draw(2) == 0 ? "a" : "b";
      scheduler_->add(group(next_id, n, 1 + draw(50), options));
      next_id += static_cast<uint64_t>(n);
    }
    if (draw(9) == 0) scheduler_->remove(1 + draw(static_cast<uint32_t>(next_id)));
    const StepBatch batch = step(draw(3));
    ASSERT_TRUE(!batch.empty() || scheduler_->idle());
    for (const Chunk& chunk : batch)
      if (chunk.last && (chunk.sequence->length() >= 63 || draw(12) == 0)) scheduler_->remove(chunk.sequence->id);
  }
  for (uint64_t id = 1; id < next_id; ++id) scheduler_->remove(id);
  EXPECT_TRUE(scheduler_->idle());
  EXPECT_EQ(allocator_->free_slabs() + allocator_->idle_slabs(), 24);
  EXPECT_GT(scheduler_->counters().preemptions, 0);
  EXPECT_GT(scheduler_->counters().prefix_hits, 0);
}

}  // namespace
}  // namespace vortex::sched
