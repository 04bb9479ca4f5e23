// Products of a query with pages, read as they are stored.
#include "flow/backends/cpu/isa/isa_table.h"
#include "flow/backends/cpu/isa/number.h"

namespace vortex::VORTEX_ISA::tile {
namespace {

using flow::Element;

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

/// Sums of the lanes of each accumulator.
template <int kCount>
void sum_all(const F32* acc, float* out) {
  int i = 0;
  for (; i + 4 <= kCount; i += 4) sum_lanes(acc + i, out + i);
  for (; i < kCount; ++i) out[i] = reduce_add(acc[i]);
}

/// A stored row, the query rows it meets and where their products go.
template <class Type>
struct Meeting {
  const Type* y;
  const float* x;
  float* out;
};

/// Dots of kStored stored rows with kRows query rows each, from query row `first` on: enough sums in flight, and no
/// more than registers hold.
template <class From, int kStored, int kRows>
void dots(const Meeting<typename From::Type>* meet, int64_t first, int64_t width) {
  F32 acc[kStored * kRows];
  for (F32& a : acc) a = zero();
  const typename From::Type* y[kStored];
  const float* x[kStored];
  for (int s = 0; s < kStored; ++s) {
    y[s] = meet[s].y;
    x[s] = meet[s].x + first * width;
  }
  int64_t k = 0;
  for (; k + kLanes <= width; k += kLanes) {
    for (int s = 0; s < kStored; ++s) {
      const F32 stored = From::read(y[s] + k);
      for (int r = 0; r < kRows; ++r) acc[s * kRows + r] = fma(stored, load(x[s] + r * width + k), acc[s * kRows + r]);
    }
  }
  float sum[kStored * kRows];
  sum_all<kStored * kRows>(acc, sum);
  for (int s = 0; s < kStored; ++s) {
    for (int r = 0; r < kRows; ++r) {
      float* out = meet[s].out + first + r;
      *out = sum[s * kRows + r];
      if (k == width) continue;
      for (int64_t i = k; i < width; ++i) *out += From::one(meet[s].y + i) * meet[s].x[(first + r) * width + i];
    }
  }
}

/// With all query rows, as many at once as leave room for the sums in registers.
template <class From, int kStored>
void dots_of_rows(const Meeting<typename From::Type>* meet, int64_t rows, int64_t width) {
  int64_t first = 0;
  for (; first + 4 <= rows; first += 4) dots<From, kStored, 4>(meet, first, width);
  const int64_t left = rows - first;
  if (left == 3) dots<From, kStored, 3>(meet, first, width);
  if (left == 2) dots<From, kStored, 2>(meet, first, width);
  if (left == 1) dots<From, kStored, 1>(meet, first, width);
}

/// Walks the stored rows of a tile as they lie in memory. With running pointers: what a stored row costs beside its
/// products delays the fetching.
template <class Type>
class StoredRows {
 public:
  explicit StoredRows(const flow::GemmTile& tile)
      : tile_(tile),
        bytes_(tile.width * int64_t{sizeof(Type)}),
        ahead_(pages_ahead(tile.y_rows * bytes_)),
        here_(tile.y.list),
        fetched_(tile.y.list + (tile.y.listed > ahead_ ? tile.y.listed - ahead_ : 0)),
        x_(tile.x),
        out_(tile.out) {}

  Meeting<Type> next() {
    const int64_t offset = inner_ * tile_.width;
    const Meeting<Type> now = {static_cast<const Type*>(*here_) + offset, x_, out_};
    if (here_ < fetched_) fetch(static_cast<const Type*>(here_[ahead_]) + offset, bytes_);
    advance();
    return now;
  }

 private:
  void advance() {
    out_ += tile_.x_rows;
    if (++inner_ < tile_.y_rows) return;
    inner_ = 0;
    ++here_;
    x_ += tile_.y.x_row_stride;
    out_ += tile_.y.out_row_stride - tile_.y_rows * tile_.x_rows;
    if (++row_ < tile_.y.rows) return;
    row_ = 0;
    ++page_;
    x_ = tile_.x + page_ * tile_.x_page_stride;
    out_ = tile_.out + page_ * tile_.y_rows * tile_.x_rows;
  }

  const flow::GemmTile& tile_;
  const int64_t bytes_, ahead_;
  const void* const* here_;
  const void* const* fetched_;  // the first that is not followed by one to fetch
  const float* x_;
  float* out_;
  int64_t page_ = 0, row_ = 0, inner_ = 0;
};

template <class From, int kStored>
void gemm_pages(const flow::GemmTile& tile) {
  StoredRows<typename From::Type> stored(tile);
  Meeting<typename From::Type> meet[kStored];
  int64_t left = tile.y.pages * tile.y.rows * tile.y_rows;
  for (; left >= kStored; left -= kStored) {
    for (auto& m : meet) m = stored.next();
    dots_of_rows<From, kStored>(meet, tile.x_rows, tile.width);
  }
  for (; left > 0; --left) {
    meet[0] = stored.next();
    dots_of_rows<From, 1>(meet, tile.x_rows, tile.width);
  }
}

template <class From>
void gemm_stored(const flow::GemmTile& tile) {
  if (tile.x_rows <= 2) return gemm_pages<From, 4>(tile);
  gemm_pages<From, 1>(tile);
}

void gemm(const flow::GemmTile& tile) {
  switch (tile.element) {
    case Element::kF32:
      return gemm_stored<FromF32>(tile);
    case Element::kBF16:
      return gemm_stored<FromBF16>(tile);
    default:
      return gemm_stored<FromF16>(tile);
  }
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

/// Loaded once: g++ would read it again for every product, and loads are what this loop waits for.
inline void keep_in_register(F32* x) {
#if defined(VORTEX_ISA_avx2) || defined(VORTEX_ISA_avx512)
  __asm__("" : "+x"(x->v));
#else
  static_cast<void>(x);
#endif
}

/// Stored bounds of kPages pages of one row.
template <class Type, int kPages>
struct Bounds {
  const Type* high[kPages];
  const Type* low[kPages];
};

/// Bounds of kRows query heads on kPages pages: several pages share the loads of the query and keep enough sums in
/// flight. best[p] becomes the larger, NaN if any is.
template <class From, int kRows, int kPages>
void best_bounds(const Bounds<typename From::Type, kPages>& stored, const float* positive, const float* negative,
                 int64_t width, float* best) {
  F32 acc[kPages][kRows];
  for (auto& page : acc)
    for (F32& a : page) a = zero();
  int64_t d = 0;
  for (; d + kLanes <= width; d += kLanes) {
    F32 h[kPages], l[kPages];
    for (int p = 0; p < kPages; ++p) {
      h[p] = From::read(stored.high[p] + d);
      l[p] = From::read(stored.low[p] + d);
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
        sum[r] += positive[r * width + i] * From::one(stored.high[p] + i) +
                  negative[r * width + i] * From::one(stored.low[p] + i);
    best[p] = largest<kRows>(sum, best[p]);
  }
}

/// Pages first .. first + kPages of one row.
template <class From, int kPages>
void bound_heads(const flow::BoundTile& tile, int64_t first, int64_t row) {
  Bounds<typename From::Type, kPages> stored;
  for (int p = 0; p < kPages; ++p) {
    const int64_t at = (first + p) * tile.high.rows + row;
    stored.high[p] = static_cast<const typename From::Type*>(tile.high.list[at]);
    stored.low[p] = static_cast<const typename From::Type*>(tile.low[at]);
  }
  float* best = tile.out + row * tile.high.out_row_stride + first;
  for (int p = 0; p < kPages; ++p) best[p] = -__builtin_inff();
  const int64_t width = tile.width;
  const float *positive = tile.positive + row * tile.high.x_row_stride,
              *negative = tile.negative + row * tile.high.x_row_stride;
  int64_t g = 0;
  for (; g + 4 <= tile.group; g += 4)
    best_bounds<From, 4, kPages>(stored, positive + g * width, negative + g * width, width, best);
  for (; g < tile.group; ++g)
    best_bounds<From, 1, kPages>(stored, positive + g * width, negative + g * width, width, best);
}

/// The rows in turn on a few pages at a time, fetching in the order of memory.
template <class From>
void bound_pages(const flow::BoundTile& tile) {
  const int64_t bytes = tile.width * static_cast<int64_t>(sizeof(typename From::Type)), rows = tile.high.rows;
  const int64_t ahead = rows + pages_ahead(bytes);
  const auto fetch_from = [&](int64_t at, int64_t count) {
    for (int64_t i = at + ahead; i < at + ahead + count && i < tile.high.listed; ++i) {
      fetch(tile.high.list[i], bytes);
      fetch(tile.low[i], bytes);
    }
  };
  int64_t t = 0;
  for (; t + 2 <= tile.high.pages; t += 2) {
    for (int64_t row = 0; row < rows; ++row) {
      fetch_from(t * rows + 2 * row, 2);
      bound_heads<From, 2>(tile, t, row);
    }
  }
  for (; t < tile.high.pages; ++t)
    for (int64_t row = 0; row < rows; ++row) bound_heads<From, 1>(tile, t, row);
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
