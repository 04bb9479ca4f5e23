#include <cuda_bf16.h>
#include <cuda_fp8.h>

#include "device/cuda/launch.cuh"
#include "model/cuda/noise.h"

namespace vortex::cuda {
namespace {

/// The finaliser of MurmurHash3 (Appleby): every bit of the input moves half of the output's.
__device__ uint32_t mix(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return x ^ (x >> 16);
}

template <class T>
__global__ void noise_kernel(StepView step, TokenView tokens, FieldPointer field, int cols, uint32_t seed) {
  const int token = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y);
  const int position = tokens.position[token];
  if (position < 0) return;
  const int32_t page = step.page_id(tokens.sequence[token], position / step.page_tokens, head);
  T* row = reinterpret_cast<T*>(field.base + page * field.page_bytes) + int64_t{position % step.page_tokens} * cols;
  const uint32_t start = mix(seed ^ mix(static_cast<uint32_t>(position * step.kv_heads + head)));
  for (int c = static_cast<int>(threadIdx.x); c < cols; c += static_cast<int>(blockDim.x))
    row[c] = T(static_cast<float>(mix(start + static_cast<uint32_t>(c)) >> 8) * 0x1p-23f - 1.0f);
}

__global__ void count_kernel(ListView list, StepView step, unsigned long long* pages) {
  const int row = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (row >= step.decodes * step.kv_heads) return;
  atomicAdd(pages + row / step.kv_heads, static_cast<unsigned long long>(list.counts[row]));
}

}  // namespace

void store_noise(const StepView& step, const TokenView& tokens, FieldPointer field, DType dtype, int cols,
                 uint32_t seed, cudaStream_t stream) {
  if (tokens.count == 0) return;
  const dim3 grid(static_cast<unsigned>(tokens.count), static_cast<unsigned>(step.kv_heads));
  if (dtype == DType::kF8E4M3) {
    launch_kernel("noise_kernel", noise_kernel<__nv_fp8_e4m3>, {grid, 128, stream}, step, tokens, field, cols, seed);
  } else {
    launch_kernel("noise_kernel", noise_kernel<__nv_bfloat16>, {grid, 128, stream}, step, tokens, field, cols, seed);
  }
}

void add_counts(const ListView& list, const StepView& step, unsigned long long* pages, cudaStream_t stream) {
  const int rows = step.decodes * step.kv_heads;
  if (rows == 0) return;
  launch_kernel("count_kernel", count_kernel, {(rows + 127) / 128, 128, stream}, list, step, pages);
}

}  // namespace vortex::cuda
