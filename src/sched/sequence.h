// Sequence: one stream of tokens being generated, as the scheduler sees it.
#pragma once

#include <cstdint>
#include <vector>

#include "kv/index/sequence_table.h"

namespace vortex::sched {

struct Sequence {
  Sequence(uint64_t sequence_id, std::vector<int32_t> prompt, kv::SlabAllocator* allocator, int slab_tokens)
      : id(sequence_id),
        tokens(std::move(prompt)),
        prompt_tokens(static_cast<int64_t>(tokens.size())),
        table(allocator, slab_tokens) {}

  uint64_t id;
  std::vector<int32_t> tokens;  // prompt, then what was generated
  int64_t prompt_tokens;        // generation starts here
  int64_t computed = 0;         // tokens whose K and V are stored; computed <= tokens.size() - 1 when scheduled
  kv::SequenceTable table;
  int preemptions = 0;

  int64_t length() const { return static_cast<int64_t>(tokens.size()); }
  int64_t pending() const { return length() - computed; }
};

}  // namespace vortex::sched
