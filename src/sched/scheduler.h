// Scheduler: which sequences run in the next step, and how many tokens of each. Host bookkeeping only: no model, no
// device, no clock. Continuous batching within a budget of tokens: decodes first (one token each), then prompts in
// chunks, short prompts before long ones. Sequences are admitted by priority, then first come first served. When the
// pool is full, pages kept for later requests go first; then the last in that order gives its slabs back and computes
// them again later, the first to be admitted again.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "base/function_ref.h"
#include "base/result.h"
#include "kv/index/prefix_cache.h"
#include "sched/sequence.h"

namespace vortex::sched {

struct Limits {
  int max_sequences = 8;         // running at once
  int max_batched_tokens = 512;  // tokens of one step, decodes and prompt chunks together; >= max_sequences
  int64_t max_length = 0;        // tokens of one sequence, prompt and generated
  int64_t long_prompt = 0;       // prompts with more tokens to compute are paced beside decodes; 0: none are
};

/// One sequence's part of a step: tokens [begin, begin + count).
struct Chunk {
  Sequence* sequence = nullptr;  // null: it was removed while the step was under way
  int64_t begin = 0;
  int64_t count = 0;
  bool decode = false;  // one generated token: sparse attention may apply
  bool last = false;    // reaches the end of the sequence: its logits are wanted
  bool sparse = false;  // set by the caller before finish_step(): attention read fewer pages than there were
};

/// Decodes first.
using StepBatch = std::vector<Chunk>;

struct Counters {
  int64_t preemptions = 0;
  int64_t prefix_queries = 0, prefix_hits = 0;  // prompt tokens looked up at a first start, and found

  Counters& operator+=(const Counters& other) {
    preemptions += other.preemptions;
    prefix_queries += other.prefix_queries;
    prefix_hits += other.prefix_hits;
    return *this;
  }
};

/// Whether a prompt can ever run: kInvalidArgument for no tokens, or for so many that no room is left for one more
/// below max_length; kResourceExhausted for more than a pool of `pool_tokens` holds. Both numbers are named.
Status check_prompt(const Limits& limits, int64_t pool_tokens, int64_t prompt_tokens);

class Scheduler {
 public:
  /// `cache` may be null: nothing is kept for later requests.
  Scheduler(const Limits& limits, kv::SlabAllocator* allocator, kv::PrefixCache* cache, int slab_tokens);

  /// Queues a sequence that passed check_prompt(), with its followers, if it has any.
  void add(std::unique_ptr<Sequence> sequence);

  /// The next step, with slabs reserved for its tokens; empty when there is nothing to do. Of long prompts it takes at
  /// most `paced_tokens` in a step that also decodes. Call finish_step() before the next one.
  StepBatch next_step(int64_t paced_tokens = INT64_MAX);

  /// The step after `under_way`, which was not finished yet: a token more of each of its sequences but those that
  /// `ends` says end with it, with slabs reserved; the token itself is not known yet. Empty when anything else is to
  /// be done first: a sequence to admit, a prompt, a token known already, slabs to be had from somebody.
  StepBatch next_decodes(const StepBatch& under_way, FunctionRef<bool(const Sequence&)> ends);

  /// The batch was computed: advances `computed`. The caller has appended new tokens to sequences that continue.
  void finish_step(const StepBatch& batch);

  /// What the sequence computed is known to be sound: its dense whole slabs are kept for later requests, and its
  /// followers start from its prompt.
  void publish(Sequence* sequence);

  /// Removes a sequence wherever it is and frees its slabs; false when the id is unknown. Its followers stay.
  bool remove(uint64_t id);

  /// Ids of sequences that never started and whose deadline is before `now`.
  std::vector<uint64_t> expired(double now) const;

  bool idle() const { return waiting_.empty() && running_.empty(); }
  int64_t running() const { return static_cast<int64_t>(running_.size()); }
  /// Followers included.
  int64_t waiting() const;
  const Counters& counters() const { return counters_; }

 private:
  using Owned = std::unique_ptr<Sequence>;

  int64_t take_decodes(StepBatch* batch, int64_t budget);
  int64_t take_prompts(StepBatch* batch, int64_t budget, bool long_ones, int64_t paced);
  bool paced(const Sequence& sequence) const;
  bool any_paced() const;
  bool reserve(Sequence* sequence, int64_t tokens);
  bool reserve_or_preempt(Sequence* sequence, int64_t tokens, StepBatch* batch);
  bool drop_waiting_slabs();
  void preempt_last(StepBatch* batch);
  bool start(Sequence* sequence);
  void find_prefix(Sequence* sequence);
  bool prefix_is_coming(const Sequence& sequence) const;
  void admit();
  void enqueue(Owned sequence);
  void replace_leader(std::vector<Owned> followers);

  Limits limits_;
  kv::SlabAllocator* allocator_;
  kv::PrefixCache* cache_;
  int slab_tokens_;
  uint64_t arrivals_ = 0;
  std::deque<Owned> waiting_;  // both lists by priority, then arrival
  std::vector<Owned> running_;
  Counters counters_;
};

}  // namespace vortex::sched
