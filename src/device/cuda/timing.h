// How long work takes on a GPU, for benchmarks.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include "base/function_ref.h"

namespace vortex::cuda {

/// Microseconds between what `work` queues on `stream` first and its end: the median of nine runs after two.
double median_us(cudaStream_t stream, FunctionRef<void()> work);

/// Bytes a microsecond, read and written, of a copy of `bytes` on the device, by median_us().
double copy_rate(cudaStream_t stream, int64_t bytes);

}  // namespace vortex::cuda
