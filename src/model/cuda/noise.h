// Noise for contexts that nobody computed.
#pragma once

#include <cuda_runtime_api.h>

#include "device/cuda/step_views.h"
#include "tensor/dtype.h"

namespace vortex::cuda {

/// Writes uniform noise in [-1, 1) to rows [page_tokens, cols] of a field for each token and kv head; a seed gives the
/// same noise always.
void store_noise(const StepView& step, const TokenView& tokens, FieldPointer field, DType dtype, int cols,
                 uint32_t seed, cudaStream_t stream);

/// pages[sequence] += counts of its rows: what a selection of any size reads.
void add_counts(const ListView& list, const StepView& step, unsigned long long* pages, cudaStream_t stream);

}  // namespace vortex::cuda
