// What decode streams: bfloat16 as it is, or fp8 that becomes float16 on its way to the tensor cores, which holds every
// e4m3 number.
#pragma once

#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include "attention/cuda/mma.cuh"

namespace vortex::cuda {

struct WideElement {
  static constexpr int kBytes = 2;
  static __device__ void multiply(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    multiply_add(sum, a, b0, b1);
  }
  static __device__ uint32_t pair(float low, float high) { return pack(low, high); }
  /// Two numbers of a query.
  static __device__ uint32_t query(uint32_t two) { return two; }
};

struct NarrowElement {
  static constexpr int kBytes = 1;
  static __device__ void multiply(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    multiply_add_half(sum, a, b0, b1);
  }
  static __device__ uint32_t pair(float low, float high) {
    const __half2 two = __floats2half2_rn(low, high);
    return *reinterpret_cast<const uint32_t*>(&two);
  }
  static __device__ uint32_t query(uint32_t two) {
    return pair(__uint_as_float(two << 16), __uint_as_float(two & 0xFFFF0000u));
  }
};

/// Four e4m3 numbers as two pairs of float16.
__device__ inline uint2 widen(uint32_t four) {
  const __half2_raw low = __nv_cvt_fp8x2_to_halfraw2(static_cast<__nv_fp8x2_storage_t>(four & 0xFFFF), __NV_E4M3);
  const __half2_raw high = __nv_cvt_fp8x2_to_halfraw2(static_cast<__nv_fp8x2_storage_t>(four >> 16), __NV_E4M3);
  return {*reinterpret_cast<const uint32_t*>(&low), *reinterpret_cast<const uint32_t*>(&high)};
}

}  // namespace vortex::cuda
