// Decode attention timed alone, over noise: what `vortex bench attention` reports. A result is compared with plain
// loops before anything is timed. Keys and values are bfloat16.
#pragma once

#include <cstdint>

#include "base/result.h"

namespace vortex {
class WorkerPool;
}

namespace vortex::attention {

/// One layer's step: `batch` sequences that decode a token each.
struct DecodeTask {
  int batch = 1;
  int context = 1;  // tokens of each sequence, the new one included
  int pages = 0;    // that each row reads, at places of its own; 0: all
  int page_tokens = 16;
  int kv_heads = 1;
  int group = 1;        // query heads a kv head
  int head_dim = 0;     // latent: of a whole row
  int latent_rank = 0;  // 0: keys and values are fields of their own
  float scale = 1.0f;
  int64_t copy_bytes = int64_t{1} << 30;  // that the copy moves which the figures are compared with

  int rows() const { return batch * kv_heads; }
  int context_pages() const { return (context + page_tokens - 1) / page_tokens; }
  int fields() const { return latent_rank > 0 ? 1 : 2; }
  int value_dim() const { return latent_rank > 0 ? latent_rank : head_dim; }
  int64_t page_bytes() const { return int64_t{2} * page_tokens * head_dim; }
  /// Of keys and values: those that a layer stores, and those that it reads.
  int64_t stored_bytes() const { return fields() * page_bytes() * context_pages() * rows(); }
  int64_t read_bytes() const;
};

struct DecodeTiming {
  double us = 0;             // of a layer: the median
  double copy_gb_per_s = 0;  // that a copy reads and writes, measured in the same run
  double error = 0;          // of the rows that were compared, relative to their largest number
};

/// On the CPU. kInternal: the result is not that of plain loops.
Result<DecodeTiming> time_decode(const DecodeTask& task, WorkerPool* pool);

}  // namespace vortex::attention
