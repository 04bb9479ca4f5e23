// What a plan costs: bytes and operations a page, and the time a simple roofline gives for them.
#pragma once

#include <vector>

#include "flow/plan/plan.h"

namespace vortex::flow {

/// One group of the indexer program, for one row (a sequence and a kv head).
struct GroupCost {
  int64_t field_bytes = 0;     // a page, read from the pool
  int64_t buffer_numbers = 0;  // a page, float32 read from or left in buffers that stay in cache
  int64_t page_flops = 0;      // a page; a transcendental function counts as ten
  int64_t row_flops = 0;       // once a row
};

struct FlowCost {
  std::vector<GroupCost> groups;  // of the indexer, in execution order
  int64_t metadata_bytes = 0;     // a page of the fields that scoring reads, each once
  int64_t kv_bytes = 0;           // a page of what attention reads
  int64_t update_flops = 0;       // forward_cache, a page
};

FlowCost cost_of(const Plan& plan);

/// What one thread does. The defaults are those of the machine of docs/performance.md.
struct MachineRate {
  double read_gb_per_s = 21;  // memory, contiguous
  double gflop_per_s = 40;    // of the flow's loops, not of a matrix product
  double group_us = 0.5;      // starting one group on one row
};

/// Scoring and selecting among `pages` pages of one row, by one thread: each group takes the longer of its memory and
/// its arithmetic. Microseconds.
double predicted_us(const FlowCost& cost, const MachineRate& machine, int64_t pages);

}  // namespace vortex::flow
