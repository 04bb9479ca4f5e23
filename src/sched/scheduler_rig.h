// A scheduler with an engine's manners around it, for tests.
#pragma once

#include <gtest/gtest.h>

#include "sched/scheduler.h"

namespace vortex::sched {

class SchedulerRig : public ::testing::Test {
 protected:
  static constexpr int kSlabTokens = 4;

  void start(int slabs, Limits limits, bool with_cache = false) {
    scheduler_.reset();
    cache_.reset();
    allocator_ = std::make_unique<kv::SlabAllocator>(slabs);
    if (with_cache) cache_ = std::make_unique<kv::PrefixCache>(allocator_.get());
    scheduler_ = std::make_unique<Scheduler>(limits, allocator_.get(), cache_.get(), kSlabTokens);
  }
  std::unique_ptr<Sequence> sequence(uint64_t id, std::vector<int32_t> tokens, SequenceOptions options = {}) {
    return std::make_unique<Sequence>(id, std::move(tokens), allocator_.get(), kSlabTokens, std::move(options));
  }
  void add(uint64_t id, int64_t prompt, SequenceOptions options = {}) {
    scheduler_->add(sequence(id, std::vector<int32_t>(static_cast<size_t>(prompt), 7), std::move(options)));
  }
  /// What the engine does after a step: every chunk that reaches the end gains a token; finished prompts are published.
  void finish(const StepBatch& batch) {
    scheduler_->finish_step(batch);
    for (const Chunk& chunk : batch) {
      if (!chunk.last) continue;
      if (chunk.sequence->computed == chunk.sequence->prompt_tokens) scheduler_->publish(chunk.sequence);
      chunk.sequence->tokens.push_back(1);
    }
    EXPECT_TRUE(allocator_->check_integrity().ok());
    if (cache_) {
      EXPECT_TRUE(cache_->check_integrity().ok());
    }
  }
  StepBatch step(int64_t paced = INT64_MAX) {
    StepBatch batch = scheduler_->next_step(paced);
    finish(batch);
    return batch;
  }

  std::unique_ptr<kv::SlabAllocator> allocator_;
  std::unique_ptr<kv::PrefixCache> cache_;
  std::unique_ptr<Scheduler> scheduler_;
};

}  // namespace vortex::sched
