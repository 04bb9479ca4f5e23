// How the output operators choose pages, spelled out (graph.h, Selection).
#pragma once

#include <vector>

#include "flow/interp/array.h"

namespace vortex::flow::interp {

/// Pages of the middle, best first: higher scores, ties to the lower page, NaN below every number.
std::vector<int> rank_pages(const std::vector<float>& scores, Range middle);

/// approxTopK: the first byte of the keys that leaves little enough open decides.
std::vector<int> approximate(const std::vector<int>& ranked, const std::vector<float>& scores, int k, float tolerance);

/// top_p: the fewest of the best pages that hold `mass` of the softmax over the middle.
int count_for_mass(const std::vector<int>& ranked, const std::vector<float>& scores, double mass);

}  // namespace vortex::flow::interp
