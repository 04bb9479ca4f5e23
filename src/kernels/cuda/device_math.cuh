// What the kernels share: vectors of bfloat16, sums over warps and blocks, gates.
#pragma once

#include <cuda_bf16.h>

#include <algorithm>
#include <cstdint>

#include "kernels/dense_ops.h"

namespace vortex::cuda {

using bf16 = __nv_bfloat16;

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

template <class T>
__host__ __device__ constexpr T ceil_div(T a, T b) {
  return (a + b - 1) / b;
}

/// `N` values of one aligned load.
template <class T, int N>
struct alignas(sizeof(T) * N) Vector {
  T at[N];
};

__device__ inline float warp_sum(float value) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) value += __shfl_xor_sync(kAllLanes, value, offset);
  return value;
}

/// Of a block of whole warps, at most 1024 threads; every thread gets it. `shared` has room for a float a warp.
__device__ inline float block_sum(float value, float* shared) {
  const int lane = threadIdx.x % kWarp, warps = blockDim.x / kWarp;
  value = warp_sum(value);
  if (lane == 0) shared[threadIdx.x / kWarp] = value;
  __syncthreads();
  return warp_sum(lane < warps ? shared[lane] : 0.0f);
}

/// Formulas: kernels/dense_ops.h.
template <kernels::Gating G>
__device__ inline float gated(float gate, float up) {
  if constexpr (G == kernels::Gating::kSilu) {
    return gate / (1.0f + __expf(-gate)) * up;
  } else if constexpr (G == kernels::Gating::kGeluTanh) {
    constexpr float kRootOfTwoOverPi = 0.7978845608f;
    return 0.5f * gate * (1.0f + tanhf(kRootOfTwoOverPi * (gate + 0.044715f * gate * gate * gate))) * up;
  } else {
    const float g = fminf(gate, 7.0f), u = fminf(fmaxf(up, -7.0f), 7.0f);
    return g / (1.0f + __expf(-1.702f * g)) * (u + 1.0f);
  }
}

/// Calls `body` with the gating as a compile-time constant: body.operator()<G>().
template <class Body>
void with_gating(kernels::Gating gating, Body&& body) {
  using kernels::Gating;
  if (gating == Gating::kSilu) return body.template operator()<Gating::kSilu>();
  if (gating == Gating::kGeluTanh) return body.template operator()<Gating::kGeluTanh>();
  body.template operator()<Gating::kClampedSwiglu>();
}

}  // namespace vortex::cuda
