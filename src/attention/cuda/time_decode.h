// Decode attention on the GPU alone, timed.
#pragma once

#include "attention/decode_timing.h"

namespace vortex::cuda {

/// On the current GPU, layers in a graph as a step runs them. kInternal: the result is not that of plain loops.
Result<attention::DecodeTiming> time_decode(const attention::DecodeTask& task);

}  // namespace vortex::cuda
