// Random weights in any storable type: the right shapes and sizes for a benchmark without a download.
#pragma once

#include <cstdint>

#include "loader/weights.h"

namespace vortex {

/// A WeightMap that makes each tensor when it is taken and owns it. Matrices: standard deviation near 0.02 in
/// `dtype`; vectors: one for norms, small for biases, always float32. The same seed and names give the same bytes.
/// kUnsupported when a row is no multiple of the type's block; kResourceExhausted when memory is short.
WeightMap make_dummy_weights(DType dtype, uint64_t seed);

}  // namespace vortex
