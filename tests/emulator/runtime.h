// What launches need of the emulated runtime.
#pragma once

#include <cuda_runtime_api.h>

#include <functional>

namespace vortex::emulator {

/// Does `work` now, or with the graph that `stream` is being captured into.
cudaError_t queue(cudaStream_t stream, std::function<void()> work);

}  // namespace vortex::emulator
