#include "bench/roofline/roofline_loops.h"

#include "kernels/cpu/simd/dot.h"
#include "kernels/cpu/simd/simd.h"

namespace vortex::VORTEX_ISA {
namespace {

constexpr int kChains = 12;  // more than latency times throughput of any multiply-add unit

float read(const float* p, int64_t n) {
  F32 sums[4] = {zero(), zero(), zero(), zero()};
  for (int64_t i = 0; i < n; i += 4 * kLanes)
    for (int j = 0; j < 4; ++j) sums[j] = sums[j] + load(p + i + j * kLanes);
  return reduce_add((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

double multiply_add(int64_t rounds, float* sink) {
  F32 sums[kChains];
  for (int j = 0; j < kChains; ++j) sums[j] = set1(static_cast<float>(j));
  const F32 a = set1(0.5f + *sink), b = set1(*sink);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < kChains; ++j) sums[j] = fma(sums[j], a, b);
  }
  for (const F32& sum : sums) *sink += reduce_add(sum) * 1e-30f;
  return 2.0 * kChains * kLanes * static_cast<double>(rounds);
}

double dot(int64_t rounds, float* sink) {
  constexpr int kCols = 1024;
  alignas(64) int8_t x[kCols];
  alignas(64) uint8_t codes[8 * 4 * kLanes];
  for (int i = 0; i < kCols; ++i) x[i] = static_cast<int8_t>(i % 100);
  for (uint8_t& code : codes) code = 3;
  Bytes w[8];
  for (int k = 0; k < 8; ++k) w[k] = load_bytes(codes + k * 4 * kLanes);
  F32 sum = zero();
  for (int64_t i = 0; i < rounds; ++i)
    for (int c = 0; c < kCols; c += 32) sum = sum + to_f32(dot_unsigned<15, 8>(w, x + c));
  *sink += reduce_add(sum);
  return 2.0 * kCols * kLanes * static_cast<double>(rounds);
}

}  // namespace

extern const bench::RooflineLoops kRooflineLoops;
constinit const bench::RooflineLoops kRooflineLoops = {.read = read, .multiply_add = multiply_add, .dot = dot};

}  // namespace vortex::VORTEX_ISA
