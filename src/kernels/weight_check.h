// What every backend asks of a weight matrix before it prepares it.
#pragma once

#include "base/result.h"
#include "tensor/tensor_view.h"

namespace vortex::kernels {

/// A float, half or block type; shape [rows, cols] with at least one element; cols a multiple of the block.
/// Otherwise kUnsupported (the type) or kDataLoss (the shape).
Status check_weight(const TensorView& weight);

}  // namespace vortex::kernels
