// How close two backends of a flow must be.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/codes.h"
#include "tensor/dtype.h"

namespace vortex::flow {

/// Largest magnitude, 1 at least; NaN and infinity pass.
inline double norm_of(const std::vector<float>& x) {
  double norm = 1;
  for (float v : x) norm = std::max(norm, std::abs(double{v}));
  return norm;
}

inline bool is_finite(const std::vector<float>& x) {
  return std::all_of(x.begin(), x.end(), [](float v) { return std::isfinite(v); });
}

/// What a value may be off by, relative to the largest: float32 sums, and a rounding to `dtype` that falls the other
/// way.
inline double tolerance_of(DType dtype) {
  switch (dtype) {
    case DType::kF32:
      return 1e-4;
    case DType::kF8E4M3:
    case DType::kF8E5M2:
      return 0.26;
    default:
      return code_bits(dtype) > 0 ? 2.0 : 0x1p-6;
  }
}

}  // namespace vortex::flow
