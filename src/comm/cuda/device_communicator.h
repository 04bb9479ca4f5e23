// What the ranks of one model say to each other on their GPUs, in the order of a stream.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <mutex>

#include "comm/communicator.h"
#include "device/cuda/check.h"

namespace vortex::cuda {

/// Every rank calls the same operations in the same order with the same sizes, while it holds the communicator. All
/// pointers are device memory. An operation throws Failure; a rank that fails after it was queued shows in status().
class DeviceCommunicator {
 public:
  virtual ~DeviceCommunicator() = default;

  /// Whether operations are queued like kernels, so that a graph can hold them. Where not, each waits for the stream.
  virtual bool capturable() const = 0;

  /// sum[i] becomes the sum of part[i] over ranks, the same bits on every rank. `part` may be `sum`.
  virtual void all_reduce_sum(const float* part, float* sum, int64_t n, cudaStream_t stream) = 0;
  /// out [ranks, bytes] gets `bytes` of every rank's part.
  virtual void all_gather(const void* part, int64_t bytes, void* out, cudaStream_t stream) = 0;
  /// Rank 0's data on all ranks.
  virtual void broadcast(void* data, int64_t bytes, cudaStream_t stream) = 0;

  /// Held while operations are queued and graphs of them launched, so that a failure does not take the communicator
  /// away meanwhile. Throws Failure once a rank failed.
  virtual std::unique_lock<std::timed_mutex> hold() = 0;
  /// OK as long as no rank failed. What was queued before a failure ends, and what it computed is void.
  virtual Status status() const = 0;
};

/// Through pinned memory and `ranks`, which outlives it: for several ranks on one GPU. Slow. Nothing else may use
/// `ranks` while this is held.
std::unique_ptr<DeviceCommunicator> host_communicator(comm::Communicator* ranks);

/// Through NCCL, on the current device, which is no other rank's. `ranks` outlives it, carries what NCCL needs to start
/// and tells of ranks that failed. Ranks of one host use its loopback
/// interface unless NCCL_SOCKET_IFNAME names another. Graphs that hold operations must be gone before it. Throws
/// Failure: kUnsupported where NCCL is missing or too old, kUnavailable where it does not start.
std::unique_ptr<DeviceCommunicator> nccl_communicator(comm::Communicator* ranks);

}  // namespace vortex::cuda
