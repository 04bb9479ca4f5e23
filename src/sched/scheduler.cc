#include "sched/scheduler.h"

#include <algorithm>

namespace vortex::sched {
namespace {

Chunk make_chunk(Sequence* sequence, int64_t count) {
  const bool last = count == sequence->pending();
  return {sequence, count, sequence->computed >= sequence->prompt_tokens && sequence->pending() == 1, last};
}

}  // namespace

Scheduler::Scheduler(const Limits& limits, kv::SlabAllocator* allocator, int slab_tokens)
    : limits_(limits), allocator_(allocator), slab_tokens_(slab_tokens) {
  VORTEX_CHECK(limits.max_sequences > 0 && limits.max_batched_tokens >= limits.max_sequences);
}

Status Scheduler::add(std::unique_ptr<Sequence> sequence) {
  const int64_t length = sequence->length();
  if (length == 0) return Error{ErrorCode::kInvalidArgument, "prompt", "the prompt has no tokens", "give it some text"};
  if (length >= limits_.max_length) {
    return Error{ErrorCode::kInvalidArgument, "prompt",
                 fmt::format("the prompt has {} tokens, the context holds {} with at least one to generate", length,
                             limits_.max_length),
                 "shorten it or raise --max-model-len"};
  }
  const int64_t pool_tokens = int64_t{allocator_->capacity()} * slab_tokens_;
  if (length >= pool_tokens) {
    return Error{ErrorCode::kResourceExhausted, "prompt",
                 fmt::format("the prompt has {} tokens, the KV memory holds {}", length, pool_tokens),
                 "raise --kv-cache-memory-bytes"};
  }
  waiting_.push_back(std::move(sequence));
  return {};
}

StepBatch Scheduler::next_step() {
  StepBatch batch;
  int64_t budget = limits_.max_batched_tokens;
  // Decodes before prompt chunks; preemption may shorten running_ while we walk.
  for (const bool decodes : {true, false}) {
    for (size_t i = 0; i < running_.size() && budget > 0; ++i) {
      Sequence* sequence = running_[i].get();
      if ((sequence->pending() == 1) != decodes) continue;
      const int64_t count = std::min(budget, sequence->pending());
      if (!reserve_or_preempt(sequence, sequence->computed + count, &batch)) break;
      batch.push_back(make_chunk(sequence, count));
      budget -= count;
    }
  }
  admit(&batch, budget);
  std::stable_partition(batch.begin(), batch.end(), [](const Chunk& c) { return c.decode; });
  return batch;
}

void Scheduler::admit(StepBatch* batch, int64_t budget) {
  while (budget > 0 && !waiting_.empty() && running() < limits_.max_sequences) {
    Sequence* sequence = waiting_.front().get();
    const int64_t count = std::min(budget, sequence->pending());
    // The whole prompt must fit now, or two half-read prompts could starve each other.
    const int64_t slabs = (sequence->length() + slab_tokens_) / slab_tokens_;
    if (slabs > allocator_->free_slabs() || !sequence->table.reserve(sequence->length())) return;
    batch->push_back(make_chunk(sequence, count));
    budget -= count;
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

bool Scheduler::reserve_or_preempt(Sequence* sequence, int64_t tokens, StepBatch* batch) {
  while (!sequence->table.reserve(tokens)) {
    const bool itself = running_.back().get() == sequence;
    preempt_youngest(batch);
    if (itself) return false;
  }
  return true;
}

void Scheduler::preempt_youngest(StepBatch* batch) {
  std::unique_ptr<Sequence> victim = std::move(running_.back());
  running_.pop_back();
  std::erase_if(*batch, [&](const Chunk& c) { return c.sequence == victim.get(); });
  victim->table.clear();
  victim->computed = 0;
  ++victim->preemptions;
  waiting_.push_front(std::move(victim));
}

void Scheduler::finish_step(const StepBatch& batch) {
  for (const Chunk& chunk : batch) chunk.sequence->computed += chunk.count;
}

bool Scheduler::remove(uint64_t id) {
  const auto matches = [id](const std::unique_ptr<Sequence>& s) { return s->id == id; };
  return std::erase_if(running_, matches) + std::erase_if(waiting_, matches) > 0;
}

}  // namespace vortex::sched
