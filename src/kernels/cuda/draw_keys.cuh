// Logits and their tokens as integers that order as the sampler does: the larger logit first, then the lower token.
#pragma once

#include <cstdint>

#include "kernels/cuda/device_math.cuh"
#include "kernels/cuda/draw.h"

namespace vortex::cuda {

using Key = unsigned long long;

/// Of a row where a logit is not finite; larger than all keys.
inline constexpr Key kNotFinite = ~Key{0};
inline constexpr int32_t kFailedDraw = -2;

__device__ inline bool is_finite(float value) { return fabsf(value) < __int_as_float(0x7f800000); }

__device__ inline Key key_of(float logit, int32_t token) {
  const uint32_t bits = __float_as_uint(logit + 0.0f);  // -0 is 0
  const uint32_t ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return Key{ordered} << 32 | ~static_cast<uint32_t>(token);
}

__device__ inline float logit_of(Key key) {
  const auto ordered = static_cast<uint32_t>(key >> 32);
  return __uint_as_float(ordered & 0x80000000u ? ordered & 0x7fffffffu : ~ordered);
}

__device__ inline int32_t token_of(Key key) { return static_cast<int32_t>(~static_cast<uint32_t>(key)); }

/// Draws from rows whose temperature is not 0; best[row] is the row's largest key.
void draw_by_temperature(const float* logits, const DrawRow* draws, const Key* best, int rows, int vocab,
                         int32_t* tokens, cudaStream_t stream);

}  // namespace vortex::cuda
