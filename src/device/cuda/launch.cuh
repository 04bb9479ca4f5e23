// How kernels are launched: checked, and in one way, so that a stand-in for the device can launch them too
// (tests/emulator).
#pragma once

#include <cuda_runtime_api.h>

#include <type_traits>

#include "device/cuda/check.h"

namespace vortex::cuda {

struct LaunchShape {
  dim3 grid;    // blocks
  int threads;  // of a block
  cudaStream_t stream;
  int shared = 0;  // bytes of dynamic_shared()
};

/// More dynamic shared memory than this has to be asked for.
inline constexpr int kSharedWithoutAsking = 48 << 10;

/// Queues kernel(arguments...). Throws when it could not start; a fault while it runs shows at the next wait.
template <class... Parameters>
void launch_kernel(const char* name, void (*kernel)(Parameters...), const LaunchShape& shape,
                   std::type_identity_t<Parameters>... arguments) {
  if (shape.shared > kSharedWithoutAsking)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shape.shared), name);
  kernel<<<shape.grid, static_cast<unsigned>(shape.threads), static_cast<size_t>(shape.shared), shape.stream>>>(
      arguments...);
  check(cudaGetLastError(), name);
}

}  // namespace vortex::cuda
