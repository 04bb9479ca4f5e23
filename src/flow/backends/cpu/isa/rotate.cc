// Walsh-Hadamard transform: butterflies between lanes, then between vectors.
#include "flow/backends/cpu/isa/isa_table.h"
#include "flow/backends/cpu/isa/number.h"

namespace vortex::VORTEX_ISA::tile {
namespace {

/// Lane i becomes x[i] + x[i + half] where bit `half` of i is clear, x[i - half] - x[i] where it is set.
#if defined(VORTEX_ISA_avx2)
template <int kHalf>
F32 lane_butterfly(F32 x) {
  __m256 other;
  if constexpr (kHalf == 4) {
    other = _mm256_permute2f128_ps(x.v, x.v, 1);
  } else {
    other = _mm256_permute_ps(x.v, kHalf == 2 ? 0x4e : 0xb1);
  }
  constexpr int kSet = kHalf == 4 ? 0xf0 : kHalf == 2 ? 0xcc : 0xaa;
  return {_mm256_blend_ps(_mm256_add_ps(x.v, other), _mm256_sub_ps(other, x.v), kSet)};
}
#elif defined(VORTEX_ISA_avx512)
template <int kHalf>
F32 lane_butterfly(F32 x) {
  __m512 other;
  if constexpr (kHalf == 8) {
    other = _mm512_shuffle_f32x4(x.v, x.v, 0x4e);
  } else if constexpr (kHalf == 4) {
    other = _mm512_shuffle_f32x4(x.v, x.v, 0xb1);
  } else {
    other = _mm512_permute_ps(x.v, kHalf == 2 ? 0x4e : 0xb1);
  }
  constexpr int kSet = kHalf == 8 ? 0xff00 : kHalf == 4 ? 0xf0f0 : kHalf == 2 ? 0xcccc : 0xaaaa;
  return {_mm512_mask_sub_ps(_mm512_add_ps(x.v, other), kSet, other, x.v)};
}
#elif defined(VORTEX_ISA_neon)
template <int kHalf>
F32 lane_butterfly(F32 x) {
  if constexpr (kHalf == 4) return {vaddq_f32(x.low, x.high), vsubq_f32(x.low, x.high)};
  const auto inside_quad = [](float32x4_t quad) {
    const float32x4_t other = kHalf == 2 ? vextq_f32(quad, quad, 2) : vrev64q_f32(quad);
    const uint32_t middle = kHalf == 2 ? 0 : ~0u;
    const uint32x4_t set = {0, middle, ~middle, ~0u};
    return vbslq_f32(set, vsubq_f32(other, quad), vaddq_f32(quad, other));
  };
  return {inside_quad(x.low), inside_quad(x.high)};
}
#else
template <int kHalf>
F32 lane_butterfly(F32 x) {
  return lanes([&](int i) { return (i & kHalf) != 0 ? x.v[i - kHalf] - x.v[i] : x.v[i] + x.v[i + kHalf]; });
}
#endif

F32 inside(F32 x) {
  constexpr int kWidest = kLanes / 2;  // 4 or 8
  x = lane_butterfly<2>(lane_butterfly<1>(x));
  if constexpr (kWidest > 4) x = lane_butterfly<4>(x);
  return lane_butterfly<kWidest>(x);
}

void plain_block(float* x, int64_t size) {
  for (int64_t half = 1; half < size; half *= 2) {
    for (int64_t i = 0; i < size; i += 2 * half) {
      for (int64_t j = i; j < i + half; ++j) {
        const float a = x[j], b = x[j + half];
        x[j] = a + b;
        x[j + half] = a - b;
      }
    }
  }
}

void vector_block(float* x, int64_t size) {
  for (int64_t i = 0; i < size; i += kLanes) store(x + i, inside(load(x + i)));
  for (int64_t half = kLanes; half < size; half *= 2) {
    for (int64_t i = 0; i < size; i += 2 * half) {
      for (int64_t j = i; j < i + half; j += kLanes) {
        const F32 a = load(x + j), b = load(x + j + half);
        store(x + j, a + b);
        store(x + j + half, a - b);
      }
    }
  }
}

void rotate_row(const float* signs, float* x, int64_t cols) {
  for (int64_t i = 0; i < cols; ++i) x[i] *= signs[i];
  for (int64_t begin = 0; begin < cols;) {
    int64_t size = 1;
    while (2 * size <= cols - begin) size *= 2;
    if (size >= kLanes) {
      vector_block(x + begin, size);
    } else {
      plain_block(x + begin, size);
    }
    const float scale = 1.0f / __builtin_sqrtf(static_cast<float>(size));
    for (int64_t i = begin; i < begin + size; ++i) x[i] *= scale;
    begin += size;
  }
}

void rotate(const float* signs, float* x, int64_t rows, int64_t cols) {
  for (int64_t r = 0; r < rows; ++r) rotate_row(signs, x + r * cols, cols);
}

}  // namespace

void add_rotation(flow::TileKernels* table) { table->rotate = rotate; }

}  // namespace vortex::VORTEX_ISA::tile
