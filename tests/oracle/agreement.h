// How close two backends of a flow must be.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <vector>

#include "flow/flow_testing.h"
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

/// Fields that two backends wrote agree to rounding; in those of few bits a number now and then takes the next code.
inline void expect_fields_agree(const World& a, const World& b) {
  for (size_t f = a.shape.base_fields(); f < a.view.fields.size(); ++f) {
    int64_t off = 0, count = 0;
    for (PageId page : a.full_pages()) {
      const std::vector<float> x = a.field(static_cast<int>(f), page), y = b.field(static_cast<int>(f), page);
      if (!is_finite(x)) continue;
      const double norm = norm_of(x), tolerance = norm * tolerance_of(a.view.fields[f].dtype);
      for (size_t i = 0; i < x.size(); ++i) {
        ASSERT_NEAR(x[i], y[i], tolerance) << "field " << f << " page " << page << " number " << i;
        off += std::abs(double{x[i]} - y[i]) > norm * 0x1p-6;
        ++count;
      }
    }
    EXPECT_LE(static_cast<double>(off), 3 + 0.02 * static_cast<double>(count)) << "field " << f;
  }
}

/// Pages of one set and not of the other score within the tolerance of the border.
inline void expect_same_pages(const std::vector<int>& a, const std::vector<int>& b, const std::vector<float>& score,
                              double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  float border = std::numeric_limits<float>::infinity();
  for (int j : a) border = std::min(border, score[static_cast<size_t>(j)]);
  std::vector<int> different;
  std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(different));
  for (int j : different) EXPECT_NEAR(score[static_cast<size_t>(j)], border, 2 * tolerance) << "page " << j;
}

}  // namespace vortex::flow
