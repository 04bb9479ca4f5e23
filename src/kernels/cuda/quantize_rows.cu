#include "device/cuda/launch.cuh"
#include "kernels/cuda/device_math.cuh"
#include "kernels/cuda/quantize_rows.h"

namespace vortex::cuda {
namespace {

constexpr int kThreads = 256;
constexpr float kLargest = 448.0f;  // of e4m3

__device__ float block_max(float value) {
  __shared__ float shared[kThreads / kWarp];
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, offset));
  if (lane == 0) shared[threadIdx.x / kWarp] = value;
  __syncthreads();
  for (int warp = 0; warp < kThreads / kWarp; ++warp) value = fmaxf(value, shared[warp]);
  return value;
}

/// Pairs of a row; `cols` is even. The second pass reads from the cache.
__global__ void quantize_kernel(const bf16* x, int64_t x_ld, int64_t cols, __nv_fp8_e4m3* out, float* scales) {
  const int64_t row = blockIdx.x;
  const auto* pairs = reinterpret_cast<const __nv_bfloat162*>(x + row * x_ld);
  float largest = 0.0f;
  for (int64_t i = threadIdx.x; i < cols / 2; i += kThreads) {
    const float2 pair = __bfloat1622float2(pairs[i]);
    largest = fmaxf(largest, fmaxf(fabsf(pair.x), fabsf(pair.y)));
  }
  largest = block_max(largest);
  const float scale = largest > 0.0f ? largest / kLargest : 1.0f;
  auto* quantized = reinterpret_cast<__nv_fp8x2_e4m3*>(out + row * cols);
  for (int64_t i = threadIdx.x; i < cols / 2; i += kThreads) {
    const float2 pair = __bfloat1622float2(pairs[i]);
    quantized[i] = __nv_fp8x2_e4m3(make_float2(pair.x / scale, pair.y / scale));
  }
  if (threadIdx.x == 0) scales[row] = scale;
}

}  // namespace

void quantize_rows(const __nv_bfloat16* x, int64_t x_ld, int64_t rows, int64_t cols, __nv_fp8_e4m3* out, float* scale,
                   cudaStream_t stream) {
  if (cols % 2 != 0 || x_ld % 2 != 0) fail("quantize_rows", "rows must have an even size");
  launch_kernel("quantize_kernel", quantize_kernel, {static_cast<unsigned>(rows), kThreads, stream}, x, x_ld, cols, out,
                scale);
}

}  // namespace vortex::cuda
