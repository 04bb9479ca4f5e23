// EngineStats: what an engine has done and holds, for metrics.
#pragma once

#include <array>
#include <cstdint>

namespace vortex {

/// Counters since start and gauges of now, for metrics. Tokens unless said otherwise.
struct EngineStats {
  int64_t running = 0, waiting = 0;         // sequences
  int64_t pages_total = 0, pages_used = 0;  // slabs of the pool; used: held by a running sequence
  int64_t pages_cached = 0;                 // kept for later requests only, given up when memory is short
  int64_t prompt_tokens = 0;                // computed or taken from the cache
  int64_t generation_tokens = 0;
  int64_t prefix_queries = 0, prefix_hits = 0;  // prompt tokens looked up and found
  int64_t preemptions = 0;
  int64_t sparse_pages_held = 0, sparse_pages_read = 0;  // sums over steps, sparse layers and rows
  int64_t decodes_sparse = 0, decodes_dense = 0;         // decode steps by sequence; dense: fewer pages than the budget
  double selection_s = 0;                                // in scoring and choosing pages
  double attention_s = 0;                                // in the attention of decodes
  double step_s = 0;                                     // in steps
  int64_t decode_steps = 0;                              // steps of nothing but decodes
  double decode_host_s = 0;                              // in those, beside waiting for the runner
  int64_t corrupted_requests = 0;                        // ended by a NaN among the logits
  static constexpr std::array<int64_t, 12> kIterationBuckets = {1,   8,   16,   32,   64,   128,
                                                                256, 512, 1024, 2048, 4096, 8192};
  std::array<int64_t, 13> iteration_counts = {};  // steps by tokens: up to each bound, then above; not cumulative
  int64_t iteration_tokens = 0;
};

}  // namespace vortex
