// Products of a query with pages, read as they are stored.
#include "flow/backends/cpu/isa/isa_table.h"
#include "flow/backends/cpu/isa/number.h"

namespace vortex::VORTEX_ISA::tile {
namespace {

using flow::Element;

constexpr int64_t kPrefetchAhead = 8;  // pages: their addresses follow no pattern that hardware would guess

struct FromF32 {
  using Type = float;
  static F32 read(const float* p) { return load(p); }
  static float one(const float* p) { return *p; }
};
struct FromBF16 {
  using Type = uint16_t;
  static F32 read(const uint16_t* p) { return load_bf16(p); }
  static float one(const uint16_t* p) {
    const uint32_t bits = static_cast<uint32_t>(*p) << 16;
    return __builtin_bit_cast(float, bits);
  }
};
struct FromF16 {
  using Type = uint16_t;
  static F32 read(const uint16_t* p) { return load_f16(p); }
  static float one(const uint16_t* p) {
    uint16_t padded[kLanes] = {*p};
    float wide[kLanes];
    store(wide, load_f16(padded));
    return wide[0];
  }
};

void prefetch(const void* page, int64_t bytes) {
  const char* p = static_cast<const char*>(page);
  for (int64_t at = 0; at < bytes && at < 1024; at += 64) __builtin_prefetch(p + at);
}

/// Sums of the lanes of each accumulator.
template <int kCount>
void sum_all(const F32* acc, float* out) {
  int i = 0;
  for (; i + 4 <= kCount; i += 4) sum_lanes(acc + i, out + i);
  for (; i < kCount; ++i) out[i] = reduce_add(acc[i]);
}

/// Dots of one stored row with kRows query rows `width` apart.
template <class From, int kRows>
void dots(const typename From::Type* y, const float* x, int64_t width, float* out) {
  F32 acc[kRows];
  for (F32& a : acc) a = zero();
  int64_t k = 0;
  for (; k + kLanes <= width; k += kLanes) {
    const F32 row = From::read(y + k);
    for (int r = 0; r < kRows; ++r) acc[r] = fma(row, load(x + r * width + k), acc[r]);
  }
  sum_all<kRows>(acc, out);
  for (int r = 0; r < kRows; ++r)
    for (int64_t i = k; i < width; ++i) out[r] += From::one(y + i) * x[r * width + i];
}

/// One query row: several accumulators along the width hide the latency of the sums.
template <class From>
float dot(const typename From::Type* y, const float* x, int64_t width) {
  F32 a = zero(), b = zero(), c = zero(), d = zero();
  int64_t k = 0;
  for (; k + 4 * kLanes <= width; k += 4 * kLanes) {
    a = fma(From::read(y + k), load(x + k), a);
    b = fma(From::read(y + k + kLanes), load(x + k + kLanes), b);
    c = fma(From::read(y + k + 2 * kLanes), load(x + k + 2 * kLanes), c);
    d = fma(From::read(y + k + 3 * kLanes), load(x + k + 3 * kLanes), d);
  }
  for (; k + kLanes <= width; k += kLanes) a = fma(From::read(y + k), load(x + k), a);
  float sum = reduce_add((a + b) + (c + d));
  for (; k < width; ++k) sum += From::one(y + k) * x[k];
  return sum;
}

template <class From>
void gemm_row(const typename From::Type* y, const float* x, int64_t x_rows, int64_t width, float* out) {
  int64_t b = 0;
  for (; b + 4 <= x_rows; b += 4) dots<From, 4>(y, x + b * width, width, out + b);
  if (b + 2 <= x_rows) {
    dots<From, 2>(y, x + b * width, width, out + b);
    b += 2;
  }
  if (b < x_rows) out[b] = dot<From>(y, x + b * width, width);
}

template <class From>
void gemm_pages(const flow::GemmTile& tile) {
  const int64_t bytes = tile.y_rows * tile.width * static_cast<int64_t>(sizeof(typename From::Type));
  float* out = tile.out;
  for (int64_t t = 0; t < tile.pages; ++t) {
    if (t + kPrefetchAhead < tile.pages) prefetch(tile.y_pages[t + kPrefetchAhead], bytes);
    const auto* y = static_cast<const typename From::Type*>(tile.y_pages[t]);
    const float* x = tile.x + t * tile.x_page_stride;
    for (int64_t a = 0; a < tile.y_rows; ++a, out += tile.x_rows)
      gemm_row<From>(y + a * tile.width, x, tile.x_rows, tile.width, out);
  }
}

void gemm(const flow::GemmTile& tile) {
  switch (tile.y_element) {
    case Element::kF32:
      return gemm_pages<FromF32>(tile);
    case Element::kBF16:
      return gemm_pages<FromBF16>(tile);
    default:
      return gemm_pages<FromF16>(tile);
  }
}

/// Loaded once: g++ would read it again for every product, and loads are what this loop waits for.
inline void keep_in_register(F32* x) {
#if defined(VORTEX_ISA_avx2) || defined(VORTEX_ISA_avx512)
  __asm__("" : "+x"(x->v));
#elif defined(VORTEX_ISA_neon)
  __asm__("" : "+w"(x->low), "+w"(x->high));
#else
  static_cast<void>(x);
#endif
}

/// Of kCount numbers and `best`; NaN if any is. Without branches but for NaN: which head wins cannot be predicted.
template <int kCount>
float largest(const float* x, float best) {
  float top = best, odd = 0;
  for (int i = 0; i < kCount; ++i) {
    top = x[i] > top ? x[i] : top;
    odd += x[i] * 0;  // NaN from NaN and from infinity
  }
  if (odd == 0) return top;
  for (int i = 0; i < kCount; ++i) best = best != best || best > x[i] ? best : x[i];
  return best;
}

/// Bounds of kRows query heads on kPages pages: several pages share the loads of the query and keep enough sums in
/// flight. best[p] becomes the larger, NaN if any is.
template <class From, int kRows, int kPages>
void best_bounds(const flow::BoundTile& tile, int64_t first, const float* positive, const float* negative,
                 float* best) {
  using Type = typename From::Type;
  const Type *high[kPages], *low[kPages];
  F32 acc[kPages][kRows];
  for (int p = 0; p < kPages; ++p) {
    high[p] = static_cast<const Type*>(tile.high_pages[first + p]);
    low[p] = static_cast<const Type*>(tile.low_pages[first + p]);
    for (int r = 0; r < kRows; ++r) acc[p][r] = zero();
  }
  const int64_t width = tile.width;
  int64_t d = 0;
  for (; d + kLanes <= width; d += kLanes) {
    F32 h[kPages], l[kPages];
    for (int p = 0; p < kPages; ++p) {
      h[p] = From::read(high[p] + d);
      l[p] = From::read(low[p] + d);
    }
    for (int r = 0; r < kRows; ++r) {
      F32 up = load(positive + r * width + d), down = load(negative + r * width + d);
      keep_in_register(&up);
      keep_in_register(&down);
      for (int p = 0; p < kPages; ++p) acc[p][r] = fma(up, h[p], fma(down, l[p], acc[p][r]));
    }
  }
  for (int p = 0; p < kPages; ++p) {
    float sum[kRows];
    sum_all<kRows>(acc[p], sum);
    for (int r = 0; r < kRows; ++r)
      for (int64_t i = d; i < width; ++i)
        sum[r] += positive[r * width + i] * From::one(high[p] + i) + negative[r * width + i] * From::one(low[p] + i);
    best[p] = largest<kRows>(sum, best[p]);
  }
}

template <class From, int kPages>
void bound_heads(const flow::BoundTile& tile, int64_t first) {
  float best[kPages];
  for (float& b : best) b = -__builtin_inff();
  const int64_t width = tile.width;
  int64_t g = 0;
  for (; g + 4 <= tile.group; g += 4)
    best_bounds<From, 4, kPages>(tile, first, tile.positive + g * width, tile.negative + g * width, best);
  for (; g < tile.group; ++g)
    best_bounds<From, 1, kPages>(tile, first, tile.positive + g * width, tile.negative + g * width, best);
  for (int p = 0; p < kPages; ++p) tile.out[first + p] = best[p];
}

template <class From>
void bound_pages(const flow::BoundTile& tile) {
  const int64_t bytes = tile.width * static_cast<int64_t>(sizeof(typename From::Type));
  const auto fetch = [&](int64_t t) {
    if (t >= tile.pages) return;
    prefetch(tile.high_pages[t], bytes);
    prefetch(tile.low_pages[t], bytes);
  };
  int64_t t = 0;
  for (; t + 2 <= tile.pages; t += 2) {
    fetch(t + kPrefetchAhead);
    fetch(t + kPrefetchAhead + 1);
    bound_heads<From, 2>(tile, t);
  }
  if (t < tile.pages) bound_heads<From, 1>(tile, t);
}

void bound(const flow::BoundTile& tile) {
  switch (tile.element) {
    case Element::kF32:
      return bound_pages<FromF32>(tile);
    case Element::kBF16:
      return bound_pages<FromBF16>(tile);
    default:
      return bound_pages<FromF16>(tile);
  }
}

template <class From>
void decode_from(const void* src, float* out, int64_t n) {
  const auto* p = static_cast<const typename From::Type*>(src);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(out + i, From::read(p + i));
  for (; i < n; ++i) out[i] = From::one(p + i);
}

void decode(Element element, const void* src, float* out, int64_t n) {
  switch (element) {
    case Element::kF32:
      return decode_from<FromF32>(src, out, n);
    case Element::kBF16:
      return decode_from<FromBF16>(src, out, n);
    default:
      return decode_from<FromF16>(src, out, n);
  }
}

void encode_bf16(const float* x, uint16_t* out, int64_t n) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store_bf16(out + i, load(x + i));
  if (i < n) {
    uint16_t rest[kLanes];
    store_bf16(rest, load_n(x + i, static_cast<int>(n - i)));
    for (int64_t j = i; j < n; ++j) out[j] = rest[j - i];
  }
}

void round_bf16(const float* x, float* out, int64_t n) {
  uint16_t block[256];
  for (int64_t i = 0; i < n; i += 256) {
    const int64_t count = n - i < 256 ? n - i : 256;
    encode_bf16(x + i, block, count);
    decode_from<FromBF16>(block, out + i, count);
  }
}

}  // namespace

void add_products(flow::TileKernels* table) {
  table->gemm = gemm;
  table->bound = bound;
}

void add_conversions(flow::TileKernels* table) {
  table->decode = decode;
  table->encode_bf16 = encode_bf16;
  table->round_bf16 = round_bf16;
}

}  // namespace vortex::VORTEX_ISA::tile
