// The operators on arrays: direct transcriptions of the formulas in ops.def and graph.h.
#pragma once

#include "flow/interp/array.h"

namespace vortex::flow::interp {

/// Any op that makes a value, but for inputs that are fields (decoded by the caller). `pages` is how many pages a
/// ragged result has, `middle` where ops over the page axis run.
Array evaluate(const Node& node, const std::vector<const Array*>& inputs, int pages, Range middle);

}  // namespace vortex::flow::interp
