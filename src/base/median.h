// The middle of some numbers.
#pragma once

#include <algorithm>
#include <vector>

namespace vortex {

/// Of one value at least; of an even number of them, the mean of the two in the middle.
inline double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace vortex
