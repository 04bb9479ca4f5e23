#include "device/cuda/check.h"

#include <fmt/core.h>

namespace vortex::cuda {

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // not sticky: the next launch must not report it again
    throw Failure({ErrorCode::kResourceExhausted, "cuda memory", fmt::format("{}: no room on the device", what),
                   "lower --gpu-memory-utilization, --max-num-seqs or --max-model-len"});
  }
  throw Failure({ErrorCode::kUnavailable, "cuda",
                 fmt::format("{}: {} ({})", what, cudaGetErrorString(status), cudaGetErrorName(status)), ""});
}

void fail(const char* library, const std::string& message) {
  throw Failure({ErrorCode::kUnavailable, library, message, ""});
}

}  // namespace vortex::cuda
