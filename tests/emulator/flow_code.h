// Comes before the source of a flow, in place of flow/backends/cuda/code/instructions.cuh.
#pragma once

#include <vector_functions.h>
#include <vector_types.h>

#include <cstdint>

#include "intrinsics.h"

#define __CUDACC__
#define __CUDACC_RTC__
#undef __align__
#define __align__(n) __attribute__((aligned(n)))

namespace vortex::flow_code {

inline float* dynamic_shared() { return reinterpret_cast<float*>(emulator::dynamic_memory()); }
inline float f16_to_f32(uint16_t x) { return static_cast<float>(std::bit_cast<_Float16>(x)); }
inline uint16_t f32_to_f16(float x) { return std::bit_cast<uint16_t>(static_cast<_Float16>(x)); }
inline float max_nan(float x, float y) { return x != x ? x : y != y ? y : x < y ? y : x; }

struct ByteFragments {
  uint32_t a[4], b[2];
};
inline void multiply_bytes(int (&sum)[4], const uint32_t (&a)[4], uint2 b) {
  const auto* lanes = emulator::exchange(~0u, ByteFragments{{a[0], a[1], a[2], a[3]}, {b.x, b.y}});
  const auto product = [&](int row, int col) {
    int out = 0;
    for (int k = 0; k < 32; ++k) {
      const int part = k % 16 / 4, high = k / 16, shift = 8 * (k % 4);
      const auto of_a = emulator::taken<ByteFragments>(lanes[row % 8 * 4 + part]).a[row / 8 + 2 * high];
      const auto of_b = emulator::taken<ByteFragments>(lanes[col * 4 + part]).b[high];
      out += static_cast<int>(of_a >> shift & 0xff) * static_cast<signed char>(of_b >> shift);
    }
    return out;
  };
  const int row = emulator::lane() / 4, col = emulator::lane() % 4 * 2;
  for (int i = 0; i < 4; ++i) sum[i] += product(row + i / 2 * 8, col + i % 2);
}

}  // namespace vortex::flow_code
