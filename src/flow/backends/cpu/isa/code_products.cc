// Products of an 8-bit query with codes of 4, 2 or 1 bit: 16 rows of a page in the lanes of integer vectors.
#include "flow/backends/cpu/isa/isa_table.h"
#include "flow/backends/cpu/isa/number.h"

namespace vortex::VORTEX_ISA::tile {
namespace {

using flow::CodeTile;
using flow::RowReduction;

// What is handed from one to the next stays in registers.
#define VORTEX_INLINE inline __attribute__((always_inline))

constexpr int kRows = 16;
constexpr int kVectors = kRows / kLanes;  // of floats, for 16 rows

/// Sums over the channels of code * query for 16 rows and kHeads query rows. Codes count from 0.
#if defined(VORTEX_ISA_avx512)
template <int kBits, int kHeads>
VORTEX_INLINE void sum_products(const CodeTile& tile, const std::byte* codes, const int8_t* query,
                                F32 (*out)[kVectors]) {
  constexpr int kQuads = 8 / kBits;
  const int64_t width = tile.chunks * kQuads * 4;
  const __m512i mask = _mm512_set1_epi8((1 << kBits) - 1);
  __m512i sums[kHeads][2];  // of even and odd quads: one would wait for itself
  for (auto& sum : sums) sum[0] = sum[1] = _mm512_setzero_si512();
  for (int64_t c = 0; c < tile.chunks; ++c, codes += 64) {
    const __m512i packed = _mm512_loadu_si512(codes);
    for (int j = 0; j < kQuads; ++j) {
      const __m512i quad = _mm512_and_si512(_mm512_srli_epi16(packed, j * kBits), mask);
      for (int h = 0; h < kHeads; ++h) {
        int32_t q;
        __builtin_memcpy(&q, query + h * width + (c * kQuads + j) * 4, sizeof(q));
        sums[h][j % 2] = _mm512_dpbusd_epi32(sums[h][j % 2], quad, _mm512_set1_epi32(q));
      }
    }
  }
  for (int h = 0; h < kHeads; ++h) {
    const __m512i bias = _mm512_set1_epi32(tile.query_bias[h]);
    const __m512i sum = _mm512_add_epi32(sums[h][0], sums[h][1]);
    out[h][0] = {_mm512_cvtepi32_ps(_mm512_add_epi32(_mm512_slli_epi32(sum, 1), bias))};
  }
}
#elif defined(VORTEX_ISA_avx2)
/// Adds at this place: g++ would add all products of a chunk in a tree, and spill them meanwhile.
inline void add_here(__m256i* sum, __m256i product) {
  *sum = _mm256_add_epi16(*sum, product);
  __asm__("" : "+x"(*sum));
}

template <int kBits, int kHeads>
VORTEX_INLINE void sum_products(const CodeTile& tile, const std::byte* codes, const int8_t* query,
                                F32 (*out)[kVectors]) {
  constexpr int kQuads = 8 / kBits;
  constexpr int kLargest = 2 * ((1 << kBits) - 1) * 127;        // of a pair of products
  constexpr int64_t kChunksAtOnce = 32767 / kLargest / kQuads;  // that sums of 16 bits hold
  const int64_t width = tile.chunks * kQuads * 4;
  const __m256i mask = _mm256_set1_epi8((1 << kBits) - 1), ones = _mm256_set1_epi16(1);
  __m256i wide[kHeads][2];
  for (auto& w : wide) w[0] = w[1] = _mm256_setzero_si256();
  for (int64_t begin = 0; begin < tile.chunks; begin += kChunksAtOnce) {
    const int64_t end = begin + kChunksAtOnce < tile.chunks ? begin + kChunksAtOnce : tile.chunks;
    __m256i sums[kHeads][2];
    for (auto& s : sums) s[0] = s[1] = _mm256_setzero_si256();
    for (int64_t c = begin; c < end; ++c, codes += 64) {
      const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes));
      const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + 32));
      for (int j = 0; j < kQuads; ++j) {
        const __m256i first = _mm256_and_si256(_mm256_srli_epi16(low, j * kBits), mask);
        const __m256i second = _mm256_and_si256(_mm256_srli_epi16(high, j * kBits), mask);
        for (int h = 0; h < kHeads; ++h) {
          int32_t q;
          __builtin_memcpy(&q, query + h * width + (c * kQuads + j) * 4, sizeof(q));
          const __m256i four = _mm256_set1_epi32(q);
          add_here(&sums[h][0], _mm256_maddubs_epi16(first, four));
          add_here(&sums[h][1], _mm256_maddubs_epi16(second, four));
        }
      }
    }
    for (int h = 0; h < kHeads; ++h)
      for (int i = 0; i < 2; ++i) wide[h][i] = _mm256_add_epi32(wide[h][i], _mm256_madd_epi16(sums[h][i], ones));
  }
  for (int h = 0; h < kHeads; ++h) {
    const __m256i bias = _mm256_set1_epi32(tile.query_bias[h]);
    for (int i = 0; i < 2; ++i)
      out[h][i] = {_mm256_cvtepi32_ps(_mm256_add_epi32(_mm256_slli_epi32(wide[h][i], 1), bias))};
  }
}
#elif defined(VORTEX_ISA_neon)
template <int kBits, int kHeads>
VORTEX_INLINE void sum_products(const CodeTile& tile, const std::byte* codes, const int8_t* query,
                                F32 (*out)[kVectors]) {
  constexpr int kQuads = 8 / kBits;
  constexpr int kFours = kRows / 4;  // of rows, one a lane
  const int64_t width = tile.chunks * kQuads * 4;
  const uint8x16_t mask = vdupq_n_u8((1 << kBits) - 1);
  int32x4_t sums[kHeads][kFours];
  for (auto& sum : sums)
    for (auto& four : sum) four = vdupq_n_s32(0);
  for (int64_t c = 0; c < tile.chunks; ++c, codes += 64) {
    uint8x16_t packed[kFours];
    for (int i = 0; i < kFours; ++i) packed[i] = vld1q_u8(reinterpret_cast<const uint8_t*>(codes) + 16 * i);
    for (int j = 0; j < kQuads; ++j) {
      int8x16_t quads[kFours];
      for (int i = 0; i < kFours; ++i) {
        quads[i] = vreinterpretq_s8_u8(vandq_u8(packed[i], mask));
        packed[i] = vshrq_n_u8(packed[i], kBits);
      }
      for (int h = 0; h < kHeads; ++h) {
        int32_t q;
        __builtin_memcpy(&q, query + h * width + (c * kQuads + j) * 4, sizeof(q));
        const int8x16_t columns = vreinterpretq_s8_s32(vdupq_n_s32(q));
        for (int i = 0; i < kFours; ++i) sums[h][i] = vdotq_s32(sums[h][i], quads[i], columns);
      }
    }
  }
  for (int h = 0; h < kHeads; ++h) {
    const int32x4_t bias = vdupq_n_s32(tile.query_bias[h]);
    const auto value = [&](int32x4_t sum) { return vcvtq_f32_s32(vaddq_s32(vshlq_n_s32(sum, 1), bias)); };
    for (int i = 0; i < kVectors; ++i) out[h][i] = {value(sums[h][2 * i]), value(sums[h][2 * i + 1])};
  }
}
#else
template <int kBits, int kHeads>
VORTEX_INLINE void sum_products(const CodeTile& tile, const std::byte* codes, const int8_t* query,
                                F32 (*out)[kVectors]) {
  constexpr int kQuads = 8 / kBits;
  const int64_t width = tile.chunks * kQuads * 4;
  for (int h = 0; h < kHeads; ++h) {
    int32_t sums[kRows] = {};
    for (int64_t c = 0; c < tile.chunks; ++c)
      for (int r = 0; r < kRows; ++r)
        for (int i = 0; i < 4; ++i)
          for (int j = 0; j < kQuads; ++j) {
            const int code = static_cast<int>(codes[c * 64 + r * 4 + i]) >> (j * kBits) & ((1 << kBits) - 1);
            sums[r] += code * query[h * width + (c * kQuads + j) * 4 + i];
          }
    float values[kRows];
    for (int r = 0; r < kRows; ++r) values[r] = static_cast<float>(2 * sums[r] + tile.query_bias[h]);
    for (int i = 0; i < kVectors; ++i) out[h][i] = load(values + i * kLanes);
  }
}
#endif

/// Values of 16 rows for kHeads heads.
template <int kBits, int kHeads>
VORTEX_INLINE void block_values(const CodeTile& tile, const std::byte* page, int64_t block, F32 (*out)[kVectors]) {
  sum_products<kBits, kHeads>(tile, page + block * tile.chunks * 64, tile.query, out);
  const auto* steps = reinterpret_cast<const uint16_t*>(page + tile.step_offset) + block * kRows;
  const F32 alpha = set1(tile.alpha), beta = set1(tile.beta);
  for (int i = 0; i < kVectors; ++i) {
    const F32 step = load_bf16(steps + i * kLanes);
    for (int h = 0; h < kHeads; ++h) out[h][i] = fma(beta, out[h][i] * set1(tile.query_scale[h]) * step, alpha);
  }
}

bool is_nan(float x) { return x != x; }

/// Of the lanes of x; NaN if any is.
float largest_lane(Number x) { return any_nan(x) ? __builtin_nanf("") : reduce_max(x.v); }

template <int kHeads>
struct StoreRows {
  const CodeTile& tile;
  void block(int64_t t, int64_t block, const F32 (*values)[kVectors]) {
    for (int h = 0; h < kHeads; ++h) {
      float rows[kRows];
      for (int i = 0; i < kVectors; ++i) store(rows + i * kLanes, values[h][i]);
      float* out = tile.out + (t * tile.rows + block * kRows) * tile.group + h;
      for (int r = 0; r < kRows; ++r) out[r * tile.group] = rows[r];
    }
  }
};

template <int kHeads>
struct KeepLargest {
  const CodeTile& tile;
  void block(int64_t t, int64_t block, const F32 (*values)[kVectors]) {
    float* out = tile.out + t * tile.group;
    for (int h = 0; h < kHeads; ++h) {
      Number best = {values[h][0]};
      for (int i = 1; i < kVectors; ++i) best = max_or_nan({values[h][i]}, best);
      const float top = largest_lane(best);
      out[h] = block == 0 || top > out[h] || is_nan(top) ? top : out[h];
    }
  }
};

/// Leaves the largest value in out and the sum of exp(value - largest) in sums.
template <int kHeads>
struct SumExponentials {
  const CodeTile& tile;
  void block(int64_t t, int64_t block, const F32 (*values)[kVectors]) {
    float* out = tile.out + t * tile.group;
    float* sums = tile.sums + t * tile.group;
    for (int h = 0; h < kHeads; ++h) {
      Number best = {values[h][0]};
      for (int i = 1; i < kVectors; ++i) best = max_or_nan({values[h][i]}, best);
      const float here = largest_lane(best);
      const float top = block == 0 || here > out[h] || is_nan(here) ? here : out[h];
      F32 sum = zero();  // the plain exponential will do: NaN and infinity are in `top`
      for (int i = 0; i < kVectors; ++i) sum = sum + VORTEX_ISA::exp(values[h][i] - set1(top));
      const float before = block == 0 ? 0 : sums[h] * __builtin_expf(out[h] - top);
      out[h] = top;
      sums[h] = before + reduce_add(sum);
    }
  }
};

/// The pages of one row, whose part of the list starts at `tile.pages.list`, for kHeads heads.
template <int kBits, int kHeads, template <int> class Sink>
void run_heads(const CodeTile& tile) {
  Sink<kHeads> sink{tile};
  const int64_t blocks = tile.rows / kRows, bytes = tile.step_offset + 2 * tile.rows;
  const int64_t rows = tile.pages.rows, ahead = pages_ahead(bytes);
  for (int64_t t = 0; t < tile.pages.pages; ++t) {
    if ((t + ahead) * rows < tile.pages.listed) fetch(tile.pages.list[(t + ahead) * rows], bytes);
    const auto* page = static_cast<const std::byte*>(tile.pages.list[t * rows]);
    for (int64_t block = 0; block < blocks; ++block) {
      F32 values[kHeads][kVectors];
      block_values<kBits, kHeads>(tile, page, block, values);
      sink.block(t, block, values);
    }
  }
}

/// Heads are taken at most four at a time: more sums do not fit in registers.
template <int kBits, template <int> class Sink>
void run_bits(CodeTile tile) {
  const int64_t width = tile.chunks * (8 / kBits) * 4;
  for (int64_t g = 0; g < tile.group;) {
    const int64_t left = tile.group - g;
    const auto run = left >= 4   ? run_heads<kBits, 4, Sink>
                     : left == 3 ? run_heads<kBits, 3, Sink>
                     : left == 2 ? run_heads<kBits, 2, Sink>
                                 : run_heads<kBits, 1, Sink>;
    run(tile);
    const int64_t done = left < 4 ? left : 4;
    g += done;
    tile.query += done * width;
    tile.query_scale += done;
    tile.query_bias += done;
    tile.out += done;
    tile.sums += done;
  }
}

template <template <int> class Sink>
void run_sink(const CodeTile& tile) {
  if (tile.bits == 1) return run_bits<1, Sink>(tile);
  if (tile.bits == 2) return run_bits<2, Sink>(tile);
  run_bits<4, Sink>(tile);
}

/// out = out + log(sums); infinite and NaN maxima stay.
void add_logarithms(const CodeTile& tile) {
  const int64_t n = tile.pages.pages * tile.group;
  for (int64_t i = 0; i < n; i += kLanes) {
    const auto rest = static_cast<int>(n - i < kLanes ? n - i : kLanes);
    const Number top = {load_n(tile.out + i, rest)}, sum = {load_n(tile.sums + i, rest)};
    const Number value = choose_gt(set(__builtin_inff()), abs(top), top + log(sum), top);
    store_n(tile.out + i, value.v, rest);
  }
}

void product_of_row(const CodeTile& tile) {
  switch (tile.reduction) {
    case RowReduction::kNone:
      return run_sink<StoreRows>(tile);
    case RowReduction::kMax:
      return run_sink<KeepLargest>(tile);
    case RowReduction::kLogSumExp:
      run_sink<SumExponentials>(tile);
      return add_logarithms(tile);
  }
}

/// A page of codes takes longer than its neighbour in memory is away: the rows one after the other.
void code_product(const CodeTile& tile) {
  CodeTile row = tile;
  for (int64_t r = 0; r < tile.pages.rows; ++r) {
    product_of_row(row);
    ++row.pages.list;
    --row.pages.listed;
    row.query += tile.pages.x_row_stride * int64_t{sizeof(float)};
    row.query_scale += tile.pages.x_row_stride;
    row.query_bias += tile.pages.x_row_stride;
    row.out += tile.pages.out_row_stride;
    row.sums += tile.pages.out_row_stride;
  }
}

}  // namespace

void add_code_products(flow::TileKernels* table) { table->code_product = code_product; }

}  // namespace vortex::VORTEX_ISA::tile
