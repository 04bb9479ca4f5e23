// The operators on arrays: direct transcriptions of the formulas in ops.def and graph.h.
#pragma once

#include "flow/interp/array.h"

namespace vortex::flow::interp {

/// Weights [rows * cols, numbers of x] in bfloat16 times x; without weights the sum of x's parts.
Array project(const Array& x, int rows, int cols, const uint16_t* weights);

/// Any other op that makes a value, but for inputs that are fields (decoded by the caller). `pages` is how many pages a
/// ragged result has, `middle` where ops over the page axis run.
Array evaluate(const Node& node, const std::vector<const Array*>& inputs, int pages, Range middle);

}  // namespace vortex::flow::interp
