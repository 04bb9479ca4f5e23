// What attention needs of the tensor cores beside products: one instruction a function, all since sm_80.
#pragma once

#include "kernels/cuda/mma.cuh"

namespace vortex::cuda {

/// Copies 16 bytes to shared memory, or zeros when not `valid`.
__device__ inline void copy_16(uint32_t to, const void* from, bool valid) { copy_async(to, from, valid ? 16 : 0); }

__device__ inline void load_transposed(uint32_t (&out)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
               : "r"(address)
               : "memory");
}
__device__ inline uint32_t transpose_8x8(uint32_t value) {
  uint32_t out;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(out) : "r"(value));
  return out;
}

/// multiply_add on float16.
__device__ inline void multiply_add_half(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ inline uint32_t pack(float low, float high) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  return *reinterpret_cast<const uint32_t*>(&pair);
}

__device__ inline float exp2_fast(float x) {
  float out;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(x));
  return out;
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
