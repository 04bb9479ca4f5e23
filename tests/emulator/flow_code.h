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

}  // namespace vortex::flow_code
