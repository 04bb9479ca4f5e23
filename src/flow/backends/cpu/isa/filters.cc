// Finding the few scores that can be among the best.
#include "flow/backends/cpu/isa/isa_table.h"
#include "flow/backends/cpu/isa/number.h"

namespace vortex::VORTEX_ISA::tile {
namespace {

/// Bit i: lane i of x is at least that of bound.
uint32_t lanes_at_least(F32 x, F32 bound) {
#if defined(VORTEX_ISA_avx512)
  return _mm512_cmp_ps_mask(x.v, bound.v, _CMP_GE_OQ);
#elif defined(VORTEX_ISA_avx2)
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(x.v, bound.v, _CMP_GE_OQ)));
#elif defined(VORTEX_ISA_neon)
  return bits_of(at_least(x, bound));
#else
  uint32_t mask = 0;
  for (int i = 0; i < kLanes; ++i) mask |= static_cast<uint32_t>(x.v[i] >= bound.v[i]) << i;
  return mask;
#endif
}

bool group_maxima(const float* x, int64_t n, int64_t group, float* out) {
  const F32 lowest = set1(-__builtin_inff());
  Number nans = set(0);
  bool nan = false;
  for (int64_t first = 0; first < n; first += group) {
    const int64_t end = first + group < n ? first + group : n;
    F32 best = lowest;
    int64_t i = first;
    for (; i + kLanes <= end; i += kLanes) {
      const F32 v = load(x + i);
      nans = choose_unordered({v}, {v}, {v}, nans);
      best = max(v, best);  // best where v is NaN
    }
    float top = reduce_max(best);
    for (; i < end; ++i) {
      nan |= x[i] != x[i];
      top = x[i] > top ? x[i] : top;
    }
    *out++ = top;
  }
  return nan || any_nan(nans);
}

int64_t list_at_least(const float* x, int64_t n, float bound, int32_t* out) {
  const F32 wanted = set1(bound);
  int64_t count = 0, i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (uint32_t mask = lanes_at_least(load(x + i), wanted); mask != 0; mask &= mask - 1)
      out[count++] = static_cast<int32_t>(i + __builtin_ctz(mask));
  for (; i < n; ++i)
    if (x[i] >= bound) out[count++] = static_cast<int32_t>(i);
  return count;
}

}  // namespace

void add_filters(flow::TileKernels* table) {
  table->group_maxima = group_maxima;
  table->list_at_least = list_at_least;
}

}  // namespace vortex::VORTEX_ISA::tile
