// What is used of NCCL, which is opened at run time: its functions as its binary interface has them. Numbers for types
// and operations are fixed there too.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>

#include "base/result.h"

namespace vortex::cuda {

struct NcclCommunicatorHandle;

/// By value, as NCCL takes it.
struct NcclId {
  char bytes[128];
};

struct NcclLibrary {
  static constexpr int kSuccess = 0;
  enum Type : int { kBytes = 1, kFloats = 7 };
  enum Operation : int { kSum = 0 };
  using Handle = NcclCommunicatorHandle*;

  int (*get_version)(int* version);
  int (*get_unique_id)(NcclId* id);
  int (*comm_init_rank)(Handle* comm, int ranks, NcclId id, int rank);
  int (*comm_destroy)(Handle comm);
  int (*comm_abort)(Handle comm);
  int (*comm_get_async_error)(Handle comm, int* error);
  const char* (*get_error_string)(int error);
  int (*all_reduce)(const void* from, void* to, size_t count, Type type, Operation operation, Handle comm,
                    cudaStream_t stream);
  int (*all_gather)(const void* from, void* to, size_t count, Type type, Handle comm, cudaStream_t stream);
  int (*broadcast)(const void* from, void* to, size_t count, Type type, int root, Handle comm, cudaStream_t stream);

  /// $VORTEX_NCCL_LIBRARY, else libnccl.so.2 where the loader finds it. kUnsupported where it is not there, or older
  /// than 2.18. Turns NVLink multicast off (NCCL_NVLS_ENABLE=0) unless the environment says something about it.
  static Result<NcclLibrary> open();
};

}  // namespace vortex::cuda
