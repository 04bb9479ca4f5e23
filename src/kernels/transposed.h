// A weight matrix turned on its side, for files that store what a product needs the other way round.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "kernels/owned_tensor.h"

namespace vortex::kernels {

/// Row r of the result is column first + r * step of `matrix` [rows, cols]; by default all columns in order. Floats
/// keep their type; block types become float16, which rounds. Errors as check_weight.
Result<OwnedTensor> transposed(const TensorView& matrix, int64_t first = 0, int64_t step = 1);

}  // namespace vortex::kernels
