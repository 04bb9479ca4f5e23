// What attention kernels share of copies and tiles.
#pragma once

#include <cuda_bf16.h>

#include "device/cuda/ptx.cuh"

namespace vortex::cuda {

/// Copies 16 bytes to shared memory, or zeros when not `valid`.
__device__ inline void copy_16(uint32_t to, const void* from, bool valid) { copy_async(to, from, valid ? 16 : 0); }

__device__ inline uint32_t pack(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

/// Where 16-byte chunk `chunk` of row `row` lies in a tile of rows of kChunks chunks, in bytes: eight rows of a chunk
/// fall on eight different banks.
template <int kChunks>
__device__ inline uint32_t swizzled(int row, int chunk) {
  const int key = kChunks % 8 == 0 ? row & 7 : kChunks % 4 == 0 ? (row >> 1) & 3 : (row >> 2) & 1;
  return static_cast<uint32_t>((row * kChunks + (chunk ^ key)) * 16);
}

constexpr float kLog2E = 1.4426950408889634f;

}  // namespace vortex::cuda
