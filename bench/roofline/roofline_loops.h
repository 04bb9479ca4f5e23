// The loops that roofline.cc times, one set an instruction set.
#pragma once

#include <cstdint>

namespace vortex::bench {

struct RooflineLoops {
  /// Sum of n floats, a multiple of 64.
  float (*read)(const float* p, int64_t n);
  /// Returns the float32 operations done in `rounds` rounds.
  double (*multiply_add)(int64_t rounds, float* sink);
  /// Returns the 8-bit operations done.
  double (*dot)(int64_t rounds, float* sink);
};

}  // namespace vortex::bench
