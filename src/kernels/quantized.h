// A float weight matrix turned into blocks of 32 codes, for models that are quantised while they are loaded.
#pragma once

#include "base/result.h"
#include "base/worker_pool.h"
#include "kernels/owned_tensor.h"

namespace vortex::kernels {

/// A float32, float16 or bfloat16 matrix in blocks of `to`, which is kQ8_0 or kQ4_0, made on the threads of `pool`.
/// A block of 32 neighbours x of a row has the scale d = max|x| / 127 (q8_0), or m / -8 with m the first x of the
/// largest magnitude (q4_0), stored as float16, and the codes nearest to x / d within the format's range: -127 to 127,
/// -8 to 7. A block whose scale rounds to 0 (max|x| below some 4e-6 or 2e-7) becomes zeros.
/// Errors: as check_weight, with kDataLoss for columns that are no multiple of 32; kDataLoss naming the first row with
/// a value that is infinite, not a number, or too large for a float16 scale.
Result<OwnedTensor> quantized(const TensorView& matrix, DType to, WorkerPool* pool);

}  // namespace vortex::kernels
