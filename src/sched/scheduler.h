// Scheduler: which sequences run in the next step, and how many tokens of each. Host bookkeeping only: no model, no
// device. Continuous batching: decodes first (one token each), then prompts in chunks, first come first served, within
// a token budget. When the pool is full the youngest running sequence gives its slabs back and recomputes later.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "base/result.h"
#include "sched/sequence.h"

namespace vortex::sched {

struct Limits {
  int max_sequences = 8;         // running at once
  int max_batched_tokens = 512;  // tokens of one step, decodes and prompt chunks together; >= max_sequences
  int64_t max_length = 0;        // tokens of one sequence, prompt and generated
};

/// One sequence's part of a step: tokens [sequence->computed, computed + count).
struct Chunk {
  Sequence* sequence = nullptr;
  int64_t count = 0;
  bool decode = false;  // one generated token: sparse attention may apply
  bool last = false;    // reaches the end of the sequence: its logits are wanted
};

/// Decodes first.
using StepBatch = std::vector<Chunk>;

class Scheduler {
 public:
  Scheduler(const Limits& limits, kv::SlabAllocator* allocator, int slab_tokens);

  /// Queues a sequence. kInvalidArgument when it can never run: an empty prompt, a prompt that leaves no room for one
  /// token below max_length, or more tokens than the whole pool holds (both numbers are named).
  Status add(std::unique_ptr<Sequence> sequence);

  /// The next step, with slabs reserved for its tokens; empty when there is nothing to do. Call finish_step() before
  /// the next one.
  StepBatch next_step();

  /// The batch was computed: advances `computed`. The caller has appended new tokens to sequences that continue.
  void finish_step(const StepBatch& batch);

  /// Removes a sequence wherever it is and frees its slabs; false when the id is unknown.
  bool remove(uint64_t id);

  bool idle() const { return waiting_.empty() && running_.empty(); }
  int64_t running() const { return static_cast<int64_t>(running_.size()); }
  int64_t waiting() const { return static_cast<int64_t>(waiting_.size()); }

 private:
  bool reserve_or_preempt(Sequence* sequence, int64_t tokens, StepBatch* batch);
  void preempt_youngest(StepBatch* batch);
  void admit(StepBatch* batch, int64_t budget);

  Limits limits_;
  kv::SlabAllocator* allocator_;
  int slab_tokens_;
  std::deque<std::unique_ptr<Sequence>> waiting_;
  std::vector<std::unique_ptr<Sequence>> running_;  // oldest first
};

}  // namespace vortex::sched
