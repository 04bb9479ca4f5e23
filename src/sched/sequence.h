// Sequence: one stream of tokens being generated, as the scheduler sees it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kv/index/block_hash.h"
#include "kv/index/sequence_table.h"

namespace vortex::sched {

/// What a request says of how it wants to be run.
struct SequenceOptions {
  int64_t priority = 0;           // lower first
  std::string salt;               // pages are shared among equal salts only
  bool share_prefix = true;       // may start from pages that are there, and leave its own
  bool replay_decodes = false;    // decodes read selected pages: after preemption they are decoded again, not prefilled
  int64_t max_chunk = INT64_MAX;  // tokens of its prompt in one step
  double queue_deadline = 0;      // of the caller's clock; 0: none
};

struct Sequence {
  Sequence(uint64_t sequence_id, std::vector<int32_t> prompt, kv::SlabAllocator* allocator, int slab_tokens,
           SequenceOptions sequence_options = {})
      : id(sequence_id),
        options(std::move(sequence_options)),
        tokens(std::move(prompt)),
        prompt_tokens(static_cast<int64_t>(tokens.size())),
        table(allocator, slab_tokens) {}

  uint64_t id;
  SequenceOptions options;
  std::vector<int32_t> tokens;  // prompt, then what was generated
  int64_t prompt_tokens;        // generation starts here
  int64_t computed = 0;         // tokens whose K and V are stored; computed <= tokens.size() - 1 when scheduled
  int64_t dense = 0;            // of these, the first ones that owe nothing to sparse attention: fit to be shared
  int64_t cached = 0;           // prompt tokens that were there when it first started
  int64_t paced_tokens = 0;     // of its prompt, to be computed when it last started
  bool started = false;
  int preemptions = 0;
  uint64_t arrival = 0;  // the scheduler's order of first come, first served
  kv::SequenceTable table;
  std::vector<kv::BlockHash> hashes;                 // of the whole slabs of `tokens`, as far as they were needed
  std::vector<std::unique_ptr<Sequence>> followers;  // further answers to the prompt: they wait for its pages

  int64_t length() const { return static_cast<int64_t>(tokens.size()); }
  int64_t pending() const { return length() - computed; }
  /// Its next token is decoded, by itself; before that its prompt is read in chunks.
  bool decodes() const { return computed >= prompt_tokens && (options.replay_decodes || pending() == 1); }
};

}  // namespace vortex::sched
