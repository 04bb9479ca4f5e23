// Stands before src/device/cuda/launch.cuh: kernels run on the CPU.
#pragma once

#include <cuda_runtime_api.h>

#include <tuple>
#include <type_traits>

#include "device/cuda/check.h"
#include "grid.h"
#include "runtime.h"

namespace vortex::cuda {

struct LaunchShape {
  dim3 grid;
  int threads;
  cudaStream_t stream;
  int shared = 0;
};

template <class... Parameters>
void launch_kernel(const char* name, void (*kernel)(Parameters...), const LaunchShape& shape,
                   std::type_identity_t<Parameters>... arguments) {
  const auto run = [=, all = std::tuple<Parameters...>(arguments...)] {
    emulator::run_grid(name, {shape.grid.x, shape.grid.y, shape.grid.z}, shape.threads, shape.shared,
                       [&] { std::apply(kernel, all); });
  };
  check(emulator::queue(shape.stream, run), name);
}

}  // namespace vortex::cuda
