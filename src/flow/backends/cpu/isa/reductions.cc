// Reductions of a tile, and softmax and normalisation of a column of pages.
#include "flow/backends/cpu/isa/isa_table.h"
#include "flow/backends/cpu/isa/number.h"

namespace vortex::VORTEX_ISA::tile {
namespace {

using flow::Op;

constexpr float kInfinity = __builtin_inff();

struct SumStep {
  static constexpr float kStart = 0;
  static Number step(Number acc, Number x) { return acc + x; }
  static float combine(float a, float b) { return a + b; }
};
struct SquareStep {
  static constexpr float kStart = 0;
  static Number step(Number acc, Number x) { return {fma(x.v, x.v, acc.v)}; }
  static float combine(float a, float b) { return a + b; }
};
struct MaxStep {
  static constexpr float kStart = -kInfinity;
  static Number step(Number acc, Number x) { return max_or_nan(x, acc); }
  static float combine(float a, float b) { return b != b || b > a ? b : a; }
};
struct MinStep {
  static constexpr float kStart = kInfinity;
  static Number step(Number acc, Number x) { return min_or_nan(x, acc); }
  static float combine(float a, float b) { return b != b || b < a ? b : a; }
};

struct Keep {
  Number of(Number x) const { return x; }
};
struct ExpLess {
  Number top;
  Number of(Number x) const { return exp(x - top); }
};
struct Less {
  Number center;
  Number of(Number x) const { return x - center; }
};

/// Lanes of one vector folded into one number.
template <class Step>
float fold(Number acc, int n) {
  float lane[kLanes];
  store(lane, acc.v);
  float result = lane[0];
  for (int i = 1; i < n; ++i) result = Step::combine(result, lane[i]);
  return result;
}

/// Over n numbers in a row, each seen through `view`.
template <class Step, class View>
float over_row(const float* x, int64_t n, View view) {
  if (n < kLanes) {
    // Spare lanes hold view(0), which the fold leaves out.
    return fold<Step>(Step::step(set(Step::kStart), view.of({load_n(x, static_cast<int>(n))})), static_cast<int>(n));
  }
  Number first = set(Step::kStart), second = first;
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    first = Step::step(first, view.of({load(x + i)}));
    second = Step::step(second, view.of({load(x + i + kLanes)}));
  }
  if (i + kLanes <= n) {
    first = Step::step(first, view.of({load(x + i)}));
    i += kLanes;
  }
  float result = Step::combine(fold<Step>(first, kLanes), fold<Step>(second, kLanes));
  if (i < n) {
    const auto rest = static_cast<int>(n - i);
    result = Step::combine(result, fold<Step>(Step::step(set(Step::kStart), view.of({load_n(x + i, rest)})), rest));
  }
  return result;
}

/// Over `length` numbers `stride` apart, for kLanes neighbours at once.
template <class Step, class View>
Number over_columns(const float* x, int64_t length, int64_t stride, int64_t lanes, View view) {
  Number acc = set(Step::kStart);
  for (int64_t l = 0; l < length; ++l) {
    const float* p = x + l * stride;
    acc = Step::step(acc, view.of({lanes >= kLanes ? load(p) : load_n(p, static_cast<int>(lanes))}));
  }
  return acc;
}

float row_value(Op op, const float* x, int64_t n) {
  const float count = static_cast<float>(n);
  switch (op) {
    case Op::kSum:
      return over_row<SumStep>(x, n, Keep{});
    case Op::kMean:
      return over_row<SumStep>(x, n, Keep{}) * (1.0f / count);
    case Op::kMax:
      return over_row<MaxStep>(x, n, Keep{});
    case Op::kMin:
      return over_row<MinStep>(x, n, Keep{});
    case Op::kL2Norm:
      return __builtin_sqrtf(over_row<SquareStep>(x, n, Keep{}));
    case Op::kLogSumExp: {
      const float top = over_row<MaxStep>(x, n, Keep{});
      if (!(top > -kInfinity && top < kInfinity)) return top;
      return top + __builtin_logf(over_row<SumStep>(x, n, ExpLess{set(top)}));
    }
    default: {
      const float mean = over_row<SumStep>(x, n, Keep{}) / count;
      return __builtin_sqrtf(over_row<SquareStep>(x, n, Less{set(mean)}) / count);
    }
  }
}

Number square_root(Number x) {
  float lane[kLanes];
  store(lane, x.v);
  for (float& v : lane) v = __builtin_sqrtf(v);
  return {load(lane)};
}

Number column_value(Op op, const float* x, int64_t length, int64_t stride, int64_t lanes) {
  const Number scale = set(1.0f / static_cast<float>(length));
  switch (op) {
    case Op::kSum:
      return over_columns<SumStep>(x, length, stride, lanes, Keep{});
    case Op::kMean:
      return over_columns<SumStep>(x, length, stride, lanes, Keep{}) * scale;
    case Op::kMax:
      return over_columns<MaxStep>(x, length, stride, lanes, Keep{});
    case Op::kMin:
      return over_columns<MinStep>(x, length, stride, lanes, Keep{});
    case Op::kL2Norm:
      return square_root(over_columns<SquareStep>(x, length, stride, lanes, Keep{}));
    case Op::kLogSumExp: {
      const Number top = over_columns<MaxStep>(x, length, stride, lanes, Keep{});
      const Number sum = log(over_columns<SumStep>(x, length, stride, lanes, ExpLess{top})) + top;
      return choose_gt(set(kInfinity), abs(top), sum, top);
    }
    default: {
      const Number mean = over_columns<SumStep>(x, length, stride, lanes, Keep{}) * scale;
      return square_root(over_columns<SquareStep>(x, length, stride, lanes, Less{mean}) * scale);
    }
  }
}

void scale_by(float* x, int64_t n, float factor) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(x + i, load(x + i) * set1(factor));
  for (; i < n; ++i) x[i] *= factor;
}

/// The even and the odd lanes of two vectors, both in one order that in_order() undoes.
#if defined(VORTEX_ISA_avx512)
F32 even_lanes(F32 a, F32 b) { return {_mm512_shuffle_ps(a.v, b.v, 0x88)}; }
F32 odd_lanes(F32 a, F32 b) { return {_mm512_shuffle_ps(a.v, b.v, 0xdd)}; }
F32 in_order(F32 x) {
  const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
  return {_mm512_castpd_ps(_mm512_permutexvar_pd(order, _mm512_castps_pd(x.v)))};
}
#elif defined(VORTEX_ISA_avx2)
F32 even_lanes(F32 a, F32 b) { return {_mm256_shuffle_ps(a.v, b.v, 0x88)}; }
F32 odd_lanes(F32 a, F32 b) { return {_mm256_shuffle_ps(a.v, b.v, 0xdd)}; }
F32 in_order(F32 x) { return {_mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(x.v), 0xd8))}; }
#elif defined(VORTEX_ISA_neon)
F32 even_lanes(F32 a, F32 b) { return {vuzp1q_f32(a.low, a.high), vuzp1q_f32(b.low, b.high)}; }
F32 odd_lanes(F32 a, F32 b) { return {vuzp2q_f32(a.low, a.high), vuzp2q_f32(b.low, b.high)}; }
F32 in_order(F32 x) { return x; }
#else
F32 even_lanes(F32 a, F32 b) {
  return lanes([&](int i) { return i < kLanes / 2 ? a.v[2 * i] : b.v[2 * i - kLanes]; });
}
F32 odd_lanes(F32 a, F32 b) {
  return lanes([&](int i) { return i < kLanes / 2 ? a.v[2 * i + 1] : b.v[2 * i + 1 - kLanes]; });
}
F32 in_order(F32 x) { return x; }
#endif

/// out[i] = x[2 i] and x[2 i + 1] combined; out may be x.
template <class Step>
void combine_pairs(const float* x, float* out, int64_t pairs) {
  int64_t i = 0;
  for (; i + kLanes <= pairs; i += kLanes) {
    const F32 a = load(x + 2 * i), b = load(x + 2 * i + kLanes);
    store(out + i, in_order(Step::step({even_lanes(a, b)}, {odd_lanes(a, b)}).v));
  }
  for (; i < pairs; ++i) out[i] = Step::combine(x[2 * i], x[2 * i + 1]);
}

/// Rows shorter than a vector: by halves when their length is a power of two, else number by number.
template <class Step>
void short_rows(const float* x, float* out, int64_t outer, int64_t length) {
  if ((length & (length - 1)) != 0) {
    for (int64_t o = 0; o < outer; ++o, x += length) {
      float result = x[0];
      for (int64_t l = 1; l < length; ++l) result = Step::combine(result, x[l]);
      out[o] = result;
    }
    return;
  }
  constexpr int64_t kAtOnce = 512;
  float half[kAtOnce * kLanes / 2];
  for (int64_t first = 0; first < outer; first += kAtOnce) {
    const int64_t count = outer - first < kAtOnce ? outer - first : kAtOnce;
    const float* from = x + first * length;
    for (int64_t n = length; n > 2; n /= 2) {
      combine_pairs<Step>(from, half, count * n / 2);
      from = half;
    }
    combine_pairs<Step>(from, out + first, count);
  }
}

/// True if it could: sums and extremes of rows of 2 to kLanes - 1 numbers, of which a query's heads are the usual ones.
bool reduce_short_rows(Op op, const float* x, float* out, int64_t outer, int64_t length) {
  if (length < 2 || length >= kLanes) return false;
  switch (op) {
    case Op::kMax:
      short_rows<MaxStep>(x, out, outer, length);
      return true;
    case Op::kMin:
      short_rows<MinStep>(x, out, outer, length);
      return true;
    case Op::kMean:
    case Op::kSum:
      short_rows<SumStep>(x, out, outer, length);
      if (op == Op::kMean) scale_by(out, outer, 1.0f / static_cast<float>(length));
      return true;
    default:
      return false;
  }
}

void reduce(Op op, const float* x, float* out, int64_t outer, int64_t length, int64_t inner) {
  if (inner == 1) {
    if (reduce_short_rows(op, x, out, outer, length)) return;
    for (int64_t o = 0; o < outer; ++o) out[o] = row_value(op, x + o * length, length);
    return;
  }
  for (int64_t o = 0; o < outer; ++o, x += length * inner, out += inner) {
    for (int64_t i = 0; i < inner; i += kLanes) {
      const Number value = column_value(op, x + i, length, inner, inner - i);
      if (inner - i >= kLanes) {
        store(out + i, value.v);
      } else {
        store_n(out + i, value.v, static_cast<int>(inner - i));
      }
    }
  }
}

void softmax(float* x, int64_t n, float scale) {
  if (n == 0) return;
  scale_by(x, n, scale);
  const Number top = set(over_row<MaxStep>(x, n, Keep{}));
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(x + i, exp(Number{load(x + i)} - top).v);
  if (i < n) {
    const auto rest = static_cast<int>(n - i);
    store_n(x + i, exp(Number{load_n(x + i, rest)} - top).v, rest);
  }
  scale_by(x, n, 1.0f / over_row<SumStep>(x, n, Keep{}));
}

/// Lanes that belong to one column (lane i to column i % columns) folded, in every one of them.
template <class Step>
Number fold_columns(Number x, int64_t columns) {
  float lane[kLanes];
  store(lane, x.v);
  for (int64_t i = columns; i < kLanes; ++i) lane[i % columns] = Step::combine(lane[i % columns], lane[i]);
  for (int64_t i = columns; i < kLanes; ++i) lane[i] = lane[i % columns];
  return {load(lane)};
}

/// Softmax of each of a few columns that lie side by side, [n, columns]: a vector holds whole pages.
bool softmax_columns(const float* x, float* out, int64_t n, int64_t columns, float scale) {
  if (columns > kLanes || kLanes % columns != 0 || n * columns < kLanes) return false;
  const int64_t end = n * columns, whole = end / kLanes * kLanes;
  const auto rest = static_cast<int>(end - whole);
  const Number factor = set(scale), lowest = set(-kInfinity);
  Number top = lowest;
  for (int64_t i = 0; i < whole; i += kLanes) top = MaxStep::step(top, factor * Number{load(x + i)});
  float tail[kLanes];
  store(tail, lowest.v);
  for (int i = 0; i < rest; ++i) tail[i] = scale * x[whole + i];
  top = fold_columns<MaxStep>(MaxStep::step(top, {load(tail)}), columns);
  Number sum = exp(Number{load(tail)} - top);
  store(tail, sum.v);
  for (int64_t i = 0; i < whole; i += kLanes) {
    const Number weight = exp(factor * Number{load(x + i)} - top);
    store(out + i, weight.v);
    sum = sum + weight;
  }
  const Number share = one() / fold_columns<SumStep>(sum, columns);
  for (int64_t i = 0; i < whole; i += kLanes) store(out + i, (Number{load(out + i)} * share).v);
  store_n(out + whole, (Number{load(tail)} * share).v, rest);
  return true;
}

void normalize(float* x, int64_t n) {
  if (n == 0) return;
  const float norm = __builtin_sqrtf(over_row<SquareStep>(x, n, Keep{}));
  const float floor = norm > 1e-12f || norm != norm ? norm : 1e-12f;
  for (int64_t i = 0; i < n; ++i) x[i] /= floor;
}

}  // namespace

void add_reductions(flow::TileKernels* table) {
  table->reduce = reduce;
  table->softmax = softmax;
  table->softmax_columns = softmax_columns;
  table->normalize = normalize;
}

}  // namespace vortex::VORTEX_ISA::tile
