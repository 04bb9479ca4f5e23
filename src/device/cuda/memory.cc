#include "device/cuda/memory.h"

namespace vortex::cuda::internal {

void* allocate_device(int64_t bytes) {
  void* data = nullptr;
  VORTEX_CUDA_CHECK(cudaMalloc(&data, static_cast<size_t>(bytes)));
  return data;
}

// Even of nothing, cudaFree would end a capture.
void free_device(void* data) {
  if (data != nullptr) cudaFree(data);
}

void* allocate_pinned(int64_t bytes) {
  void* data = nullptr;
  VORTEX_CUDA_CHECK(cudaMallocHost(&data, static_cast<size_t>(bytes)));
  return data;
}

void free_pinned(void* data) {
  if (data != nullptr) cudaFreeHost(data);
}

}  // namespace vortex::cuda::internal
