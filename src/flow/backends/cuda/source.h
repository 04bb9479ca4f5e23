// A plan as CUDA source, and what its kernels need of the host.
#pragma once

#include <string>
#include <vector>

#include "flow/backends/cuda/cuda_flow.h"

namespace vortex::flow {

/// Kernels: flow_update (forward_cache of what tokens finish), flow_rows (if rows_kernel), flow_pages, flow_choose, and
/// flow_saved if the plan saves.
struct FlowSource {
  std::string text;
  int threads = 256;                                               // of a block, all kernels but the choice
  int choose_threads = 256;                                        // of a block of the choice, where rows are many
  int few_threads = 1024;                                          // the same where they are few
  int update_shared = 0, pages_shared = 0;                         // bytes
  int choose_shared = 0, few_shared = 0;                           // bytes, with so many threads
  int64_t update_floats = 0, pages_floats = 0, choose_floats = 0;  // of a block's workspace in device memory
  int64_t page_floats = 0;                                         // of all rows together
  int64_t row_floats = 0;                                          // of all rows together
  int64_t sort_numbers = 0;                                        // of all rows together
  bool rows_kernel = false;
  bool saves = false;
  int64_t state_bytes = 0;
  std::vector<NodeId> projects;  // nodes of the indexer, in the order of Args::weights
};

FlowSource write_source(const Plan& plan, const CudaFlowLimits& limits);

}  // namespace vortex::flow
