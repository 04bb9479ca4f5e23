#include "sched/scheduler.h"

#include <algorithm>
#include <utility>

namespace vortex::sched {
namespace {

/// A long prompt is sure of this part of the step's tokens, whatever short ones come.
constexpr int64_t kLongPromptShare = 4;

/// Fewer tokens than these are computed twice rather than waited for.
constexpr int64_t kWorthWaiting = 64;

/// So many may wait like that before nobody behind them is looked at: each look costs a walk through its hashes.
constexpr int kMostPassed = 16;

Chunk make_chunk(Sequence* sequence, int64_t count) {
  return {sequence, sequence->computed, count, sequence->decodes(), count == sequence->pending()};
}

/// Tokens that one step may take: a prompt ends before what must be decoded again begins.
int64_t next_tokens(const Sequence& s, int64_t budget) {
  if (s.decodes()) return std::min<int64_t>(budget, 1);
  const int64_t end = s.options.replay_decodes ? s.prompt_tokens : s.length();
  return std::min({budget, s.options.max_chunk, end - s.computed});
}

bool before(const std::unique_ptr<Sequence>& a, const std::unique_ptr<Sequence>& b) {
  if (a->options.priority != b->options.priority) return a->options.priority < b->options.priority;
  return a->arrival < b->arrival;
}

template <class List>
void insert_in_order(List* list, std::unique_ptr<Sequence> sequence) {
  list->insert(std::upper_bound(list->begin(), list->end(), sequence, before), std::move(sequence));
}

}  // namespace

Scheduler::Scheduler(const Limits& limits, kv::SlabAllocator* allocator, kv::PrefixCache* cache, int slab_tokens)
    : limits_(limits), allocator_(allocator), cache_(cache), slab_tokens_(slab_tokens) {
  VORTEX_CHECK(limits.max_sequences > 0 && limits.max_batched_tokens >= limits.max_sequences);
}

Status check_prompt(const Limits& limits, int64_t pool_tokens, int64_t length) {
  if (length == 0) return Error{ErrorCode::kInvalidArgument, "prompt", "the prompt has no tokens", "give it some text"};
  if (length >= limits.max_length) {
    return Error{ErrorCode::kInvalidArgument, "prompt",
                 fmt::format("the prompt has {} tokens, the context holds {} with at least one to generate", length,
                             limits.max_length),
                 "shorten it or raise --max-model-len"};
  }
  if (length >= pool_tokens) {
    return Error{ErrorCode::kResourceExhausted, "prompt",
                 fmt::format("the prompt has {} tokens, the KV memory holds {}", length, pool_tokens),
                 "raise --kv-cache-memory-bytes"};
  }
  return {};
}

void Scheduler::add(Owned sequence) {
  sequence->arrival = ++arrivals_;
  for (const Owned& follower : sequence->followers) follower->arrival = ++arrivals_;
  enqueue(std::move(sequence));
}

void Scheduler::enqueue(Owned sequence) { insert_in_order(&waiting_, std::move(sequence)); }

StepBatch Scheduler::next_step(int64_t paced_tokens) {
  StepBatch batch;
  int64_t budget = take_decodes(&batch, limits_.max_batched_tokens);
  admit();
  const bool decoding = !batch.empty();
  const int64_t pace = decoding ? paced_tokens : INT64_MAX;
  const int64_t kept_back = any_paced() ? std::min(pace, budget / kLongPromptShare) : 0;
  budget = kept_back + take_prompts(&batch, budget - kept_back, /*long_ones=*/false, 0);
  take_prompts(&batch, budget, /*long_ones=*/true, pace);
  std::stable_partition(batch.begin(), batch.end(), [](const Chunk& c) { return c.decode; });
  return batch;
}

/// Preemption shortens running_ from its end while we walk.
int64_t Scheduler::take_decodes(StepBatch* batch, int64_t budget) {
  for (size_t i = 0; i < running_.size() && budget > 0; ++i) {
    Sequence* sequence = running_[i].get();
    if (!sequence->decodes()) continue;
    if (!reserve_or_preempt(sequence, sequence->computed + 1, batch)) break;
    batch->push_back(make_chunk(sequence, 1));
    --budget;
  }
  return budget;
}

int64_t Scheduler::take_prompts(StepBatch* batch, int64_t budget, bool long_ones, int64_t pace) {
  for (size_t i = 0; i < running_.size() && budget > 0; ++i) {
    Sequence* sequence = running_[i].get();
    if (sequence->decodes() || paced(*sequence) != long_ones) continue;
    const int64_t count = next_tokens(*sequence, long_ones ? std::min(budget, pace) : budget);
    if (count == 0) continue;
    if (!reserve_or_preempt(sequence, sequence->computed + count, batch)) break;
    batch->push_back(make_chunk(sequence, count));
    budget -= count;
    pace -= long_ones ? count : 0;
  }
  return budget;
}

bool Scheduler::paced(const Sequence& s) const {
  return limits_.long_prompt > 0 && s.paced_tokens > limits_.long_prompt && !s.decodes();
}

bool Scheduler::any_paced() const {
  return std::ranges::any_of(running_, [this](const Owned& s) { return paced(*s); });
}

/// A prompt whose beginning another one is just computing waits for it, and lets those behind it pass.
void Scheduler::admit() {
  int passed = 0;
  for (auto next = waiting_.begin(); next != waiting_.end() && running() < limits_.max_sequences;) {
    if (cache_ != nullptr) find_prefix(next->get());
    if (prefix_is_coming(**next)) {
      (*next)->table.clear();
      (*next)->computed = (*next)->dense = 0;
      if (++passed > kMostPassed) return;
      ++next;
      continue;
    }
    if (!start(next->get())) return;
    insert_in_order(&running_, std::move(*next));
    next = waiting_.erase(next);
  }
}

bool Scheduler::prefix_is_coming(const Sequence& sequence) const {
  if (cache_ == nullptr || !sequence.options.share_prefix) return false;
  return std::ranges::any_of(running_, [&](const Owned& other) {
    if (other->computed >= other->prompt_tokens || !other->options.share_prefix) return false;
    const auto [end, _] = std::ranges::mismatch(sequence.hashes, other->hashes);
    const int64_t common = (end - sequence.hashes.begin()) * slab_tokens_;
    return std::min(common, sequence.length() - 1) >= sequence.computed + kWorthWaiting;
  });
}

/// The whole sequence must fit now, or two half-read prompts could starve each other; and beside it one more slab for
/// each that runs, or the newcomer would be preempted at once.
bool Scheduler::start(Sequence* sequence) {
  const int64_t tokens = sequence->length() + 1, spare = running();
  const int64_t available = int64_t{allocator_->free_slabs()} + allocator_->idle_slabs();
  if (sequence->table.missing(tokens) + spare > available || !reserve(sequence, sequence->length())) {
    return running_.empty() && drop_waiting_slabs() && start(sequence);
  }
  sequence->paced_tokens = sequence->prompt_tokens - sequence->computed;
  if (!sequence->started) {
    sequence->started = true;
    sequence->cached = std::min(sequence->computed, sequence->dense);
    counters_.prefix_queries += sequence->prompt_tokens;
    counters_.prefix_hits += sequence->cached;
  }
  return true;
}

/// At least one token is left to compute: the answer starts from its logits. What was generated sparsely is not
/// taken from the cache: its pages depend on what was read.
void Scheduler::find_prefix(Sequence* sequence) {
  if (!sequence->options.share_prefix) return;
  sequence->table.clear();
  const int64_t usable = sequence->options.replay_decodes ? sequence->prompt_tokens : sequence->length();
  const auto whole = static_cast<size_t>((usable - 1) / slab_tokens_);
  kv::extend_block_hashes(sequence->options.salt, sequence->tokens, slab_tokens_, &sequence->hashes);
  sequence->table.share(cache_->match(std::span(sequence->hashes).first(whole)));
  sequence->computed = sequence->dense = sequence->table.capacity_tokens();
}

bool Scheduler::reserve(Sequence* sequence, int64_t tokens) {
  const int64_t short_of = sequence->table.missing(tokens) - allocator_->free_slabs();
  if (short_of > 0 && cache_ != nullptr) cache_->evict(static_cast<int32_t>(short_of));
  return sequence->table.reserve(tokens);
}

bool Scheduler::reserve_or_preempt(Sequence* sequence, int64_t tokens, StepBatch* batch) {
  while (!reserve(sequence, tokens)) {
    if (drop_waiting_slabs()) continue;
    const bool itself = running_.back().get() == sequence;
    preempt_last(batch);
    if (itself) return false;
  }
  return true;
}

/// Followers that wait hold pages of their leader's prompt; without them they compute it themselves.
bool Scheduler::drop_waiting_slabs() {
  bool dropped = false;
  for (const Owned& s : waiting_) {
    dropped |= !s->table.slabs().empty();
    if (s->table.slabs().empty()) continue;
    s->table.clear();
    s->computed = s->dense = 0;
  }
  return dropped;
}

void Scheduler::preempt_last(StepBatch* batch) {
  Owned victim = std::move(running_.back());
  running_.pop_back();
  std::erase_if(*batch, [&](const Chunk& c) { return c.sequence == victim.get(); });
  victim->table.clear();
  victim->computed = victim->dense = 0;
  ++victim->preemptions;
  ++counters_.preemptions;
  enqueue(std::move(victim));
}

StepBatch Scheduler::next_decodes(const StepBatch& under_way, FunctionRef<bool(const Sequence&)> ends) {
  if (!waiting_.empty() && running() < limits_.max_sequences) return {};
  StepBatch batch;
  int64_t alive = 0, missing = 0;
  for (const Chunk& chunk : under_way) {
    if (chunk.sequence == nullptr) continue;
    if (!chunk.decode || !chunk.last) return {};
    ++alive;
    if (ends(*chunk.sequence)) continue;
    batch.push_back({chunk.sequence, chunk.begin + 1, 1, /*decode=*/true, /*last=*/true});
    missing += chunk.sequence->table.missing(chunk.begin + 2);
  }
  if (alive != running() || missing > int64_t{allocator_->free_slabs()} + allocator_->idle_slabs()) return {};
  for (const Chunk& chunk : batch)
    VORTEX_CHECK(reserve(chunk.sequence, chunk.begin + chunk.count), "{} slabs were there", missing);
  return batch;
}

void Scheduler::finish_step(const StepBatch& batch) {
  for (const Chunk& chunk : batch) {
    if (chunk.sequence == nullptr) continue;
    Sequence& s = *chunk.sequence;
    if (!chunk.sparse && s.dense == s.computed) s.dense += chunk.count;
    s.computed += chunk.count;
  }
}

void Scheduler::publish(Sequence* sequence) {
  const auto whole = static_cast<size_t>(sequence->dense / slab_tokens_);
  if (cache_ != nullptr && sequence->options.share_prefix) {
    kv::extend_block_hashes(sequence->options.salt, sequence->tokens, slab_tokens_, &sequence->hashes);
    cache_->insert(std::span(sequence->hashes).first(whole), sequence->table.slabs().first(whole));
  }
  const int64_t shared = std::min(sequence->dense, sequence->prompt_tokens - 1) / slab_tokens_;
  for (Owned& follower : std::exchange(sequence->followers, {})) {
    if (follower->options.share_prefix)
      follower->table.share(sequence->table.slabs().first(static_cast<size_t>(shared)));
    follower->computed = follower->dense = follower->table.capacity_tokens();
    enqueue(std::move(follower));
  }
}

bool Scheduler::remove(uint64_t id) {
  std::vector<Owned> orphans;
  size_t removed = 0;
  const auto take_from = [&](auto* list) {
    removed += std::erase_if(*list, [&](const Owned& s) {
      if (s->id == id) orphans = std::move(s->followers);
      return s->id == id;
    });
  };
  take_from(&running_);
  take_from(&waiting_);
  const auto drop_follower = [&](const Owned& s) { take_from(&s->followers); };
  std::ranges::for_each(running_, drop_follower);
  std::ranges::for_each(waiting_, drop_follower);
  replace_leader(std::move(orphans));
  return removed > 0;
}

void Scheduler::replace_leader(std::vector<Owned> followers) {
  if (followers.empty()) return;
  Owned leader = std::move(followers.front());
  followers.erase(followers.begin());
  leader->followers = std::move(followers);
  enqueue(std::move(leader));
}

std::vector<uint64_t> Scheduler::expired(double now) const {
  std::vector<uint64_t> ids;
  for (const Owned& s : waiting_)
    if (!s->started && s->options.queue_deadline > 0 && s->options.queue_deadline < now) ids.push_back(s->id);
  return ids;
}

int64_t Scheduler::waiting() const {
  int64_t count = 0;
  for (const Owned& s : waiting_) count += 1 + static_cast<int64_t>(s->followers.size());
  for (const Owned& s : running_) count += static_cast<int64_t>(s->followers.size());
  return count;
}

}  // namespace vortex::sched
