// The two products of decode over one tile of tokens, as register tiles: scores of heads x tokens, and sums of heads x
// columns of values. Only for files compiled once per instruction set.
#pragma once

#include "attention/cpu/decode_tile.h"
#include "attention/cpu/rows.h"

namespace vortex::VORTEX_ISA {
namespace {

using attention::kTileHeads;
using attention::padded_dim;
using attention::partial_stride;

/// Keys and values as one pass over a tile reads them.
struct Source {
  const std::byte* k;
  const std::byte* v;
  int key_dim;
  int value_dim;
};

/// Rows whose columns are read in order.
template <class T>
struct PlainRows {
  using Element = T;
  static constexpr bool kPairs = false;
};

/// Rows of bfloat16 read 2 * kLanes columns at a time, the even ones as one vector and the odd ones as the next, which
/// takes half the instructions. Queries and sums lie in that order; columns of the last, incomplete block in order.
struct PairedRows {
  using Element = uint16_t;
  static constexpr bool kPairs = true;
};

/// n columns of a row in the order in which Rows are read.
template <class Rows>
void in_read_order(const float* from, int n, float* to) {
  int d = 0;
  if constexpr (Rows::kPairs)
    for (; d + 2 * kLanes <= n; d += 2 * kLanes)
      for (int i = 0; i < kLanes; ++i) {
        to[d + i] = from[d + 2 * i];
        to[d + kLanes + i] = from[d + 2 * i + 1];
      }
  for (; d < n; ++d) to[d] = from[d];
}

/// The other way round.
template <class Rows>
void in_column_order(const float* from, int n, float* to) {
  int d = 0;
  if constexpr (Rows::kPairs)
    for (; d + 2 * kLanes <= n; d += 2 * kLanes)
      for (int i = 0; i < kLanes; ++i) {
        to[d + 2 * i] = from[d + i];
        to[d + 2 * i + 1] = from[d + kLanes + i];
      }
  for (; d < n; ++d) to[d] = from[d];
}

/// Tokens beside H heads in a register tile of scores: eight independent sums hide the latency of fma; 9 to 12 of them,
/// the operands of one side and one of the other fill 16 registers, and AVX-512 has room for more.
template <int H>
constexpr int kTokensBeside = H == 1                   ? 8
                              : H == 2 || kLanes == 16 ? 4
                                                       : 3;

/// Vectors of values beside H heads, the same for the sums of values.
template <int H>
constexpr int kVectorsBeside = H == 1                  ? 8
                               : H < 4 || kLanes == 16 ? 4
                                                       : 2;

/// Tokens between two fetches in the sums of values.
constexpr int kFetchTokens = 8;

template <class T>
const T* row_at(const std::byte* base, int64_t offset) {
  return reinterpret_cast<const T*>(base + offset);
}

/// Lane by lane sums over the columns of N tokens' keys times H heads' queries: lanes [head, token, kLanes], heads
/// kDecodeTile tokens apart. The keys are left as float32 in `wide` [token, padded key_dim] when that is not null.
template <class Rows, int H, int N, bool kWiden>
void dot_tokens(const Source& from, const int64_t* offsets, const float* q, float* lanes, float* wide) {
  using T = typename Rows::Element;
  const int dim = from.key_dim;
  const int stride = padded_dim(dim);
  const T* k[N];
#pragma GCC unroll 16
  for (int i = 0; i < N; ++i) k[i] = row_at<T>(from.k, offsets[i]);
  F32 sums[H][N];
#pragma GCC unroll 16
  for (int h = 0; h < H; ++h)
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) sums[h][i] = zero();
  const auto add = [&](int d, auto key_of) {
    if constexpr (N > H) {
      F32 query[H];
#pragma GCC unroll 16
      for (int h = 0; h < H; ++h) query[h] = load(q + h * stride + d);
#pragma GCC unroll 16
      for (int i = 0; i < N; ++i) {
        const F32 key = key_of(k[i]);
#pragma GCC unroll 16
        for (int h = 0; h < H; ++h) sums[h][i] = fma(query[h], key, sums[h][i]);
        if constexpr (kWiden) store(wide + i * stride + d, key);
      }
    } else {
      F32 keys[N];
#pragma GCC unroll 16
      for (int i = 0; i < N; ++i) keys[i] = key_of(k[i]);
#pragma GCC unroll 16
      for (int h = 0; h < H; ++h) {
        const F32 query = load(q + h * stride + d);
#pragma GCC unroll 16
        for (int i = 0; i < N; ++i) sums[h][i] = fma(query, keys[i], sums[h][i]);
      }
      if constexpr (kWiden)
#pragma GCC unroll 16
        for (int i = 0; i < N; ++i) store(wide + i * stride + d, keys[i]);
    }
  };
  int d = 0;
  if constexpr (Rows::kPairs) {
    for (; d + 2 * kLanes <= dim; d += 2 * kLanes) {
      add(d, [&](const T* row) { return load_bf16_pair(row + d).even; });
      add(d + kLanes, [&](const T* row) { return load_bf16_pair(row + d).odd; });
    }
  }
  for (; d + kLanes <= dim; d += kLanes) add(d, [&](const T* row) { return load_row(row + d); });
  if (d < dim) add(d, [&](const T* row) { return load_row_n(row + d, dim - d); });
#pragma GCC unroll 16
  for (int h = 0; h < H; ++h)
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) store(lanes + (h * kDecodeTile + i) * kLanes, sums[h][i]);
}

/// Adds up the lanes of H heads' tokens: scores [head, kDecodeTile] are finish(sums, head, first token of a vector).
template <int H, class Finish>
void add_lanes(const float* lanes, int tokens, float* scores, Finish finish) {
  for (int h = 0; h < H; ++h) {
    for (int t = 0; t < tokens; t += kLanes) {
      F32 rows[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) rows[i] = load(lanes + (h * kDecodeTile + t + i) * kLanes);
      store(scores + h * kDecodeTile + t, finish(reduce_add_rows(rows), h, t));
    }
  }
}

/// Scores [head, kDecodeTile] of H heads; `lanes` is scratch for H * kDecodeTile vectors.
template <class Rows, int H, bool kWiden = false>
void score_heads(const Source& from, const Tile& tile, Ahead& ahead, const float* q, float* lanes, float* scores,
                 float* wide = nullptr) {
  constexpr int kTokens = kTokensBeside<H>;
  const auto wide_at = [&](int token) { return kWiden ? wide + token * padded_dim(from.key_dim) : nullptr; };
  int t = 0;
  const int last = tile.tokens - kTokens;
  for (; t <= last; t += kTokens) {
    ahead.step();
    dot_tokens<Rows, H, kTokens, kWiden>(from, tile.offset + t, q, lanes + t * kLanes, wide_at(t));
  }
  for (; t + 2 <= tile.tokens; t += 2)
    dot_tokens<Rows, H, 2, kWiden>(from, tile.offset + t, q, lanes + t * kLanes, wide_at(t));
  for (; t < tile.tokens; ++t) {
    dot_tokens<Rows, H, 1, kWiden>(from, tile.offset + t, q, lanes + t * kLanes, wide_at(t));
  }
  add_lanes<H>(lanes, tile.tokens, scores, [](F32 sums, int, int) { return sums; });
}

/// Adds weights * v to kVectors vectors of H heads from column d on.
template <class Rows, int H, int kVectors>
void add_values(const Source& from, const Tile& tile, Ahead& ahead, const float* weights, int d, float* out) {
  using T = typename Rows::Element;
  const int stride = partial_stride(from.value_dim);
  F32 sums[H][kVectors];
#pragma GCC unroll 16
  for (int h = 0; h < H; ++h)
#pragma GCC unroll 16
    for (int i = 0; i < kVectors; ++i) sums[h][i] = load(out + h * stride + d + i * kLanes);
  for (int first = 0; first < tile.tokens; first += kFetchTokens) {
    ahead.step();
    const int end = first + kFetchTokens < tile.tokens ? first + kFetchTokens : tile.tokens;
    for (int t = first; t < end; ++t) {
      const T* v = row_at<T>(from.v, tile.offset[t]) + d;
      const auto add = [&](int i, F32 value) {
#pragma GCC unroll 16
        for (int h = 0; h < H; ++h) sums[h][i] = fma(set1(weights[h * kDecodeTile + t]), value, sums[h][i]);
      };
      if constexpr (Rows::kPairs && kVectors % 2 == 0) {
#pragma GCC unroll 16
        for (int i = 0; i < kVectors; i += 2) {
          const BF16Pair pair = load_bf16_pair(v + i * kLanes);
#pragma GCC unroll 16
          for (int h = 0; h < H; ++h) {
            const F32 weight = set1(weights[h * kDecodeTile + t]);
            sums[h][i] = fma(weight, pair.even, sums[h][i]);
            sums[h][i + 1] = fma(weight, pair.odd, sums[h][i + 1]);
          }
          // Weights stay in memory: 12 sums, two values, a weight and a mask are all registers of AVX2.
          asm volatile("" ::: "memory");
        }
      } else {
#pragma GCC unroll 16
        for (int i = 0; i < kVectors; ++i) add(i, load_row(v + i * kLanes));
      }
    }
  }
#pragma GCC unroll 16
  for (int h = 0; h < H; ++h)
#pragma GCC unroll 16
    for (int i = 0; i < kVectors; ++i) store(out + h * stride + d + i * kLanes, sums[h][i]);
}

/// The columns of the last, incomplete vector.
template <class Rows, int H>
void add_tail_values(const Source& from, const Tile& tile, const float* weights, int d, float* out) {
  using T = typename Rows::Element;
  const int left = from.value_dim - d;
  for (int h = 0; h < H; ++h) {
    float* at = out + h * partial_stride(from.value_dim) + d;
    F32 sum = load(at);
    for (int t = 0; t < tile.tokens; ++t)
      sum = fma(set1(weights[h * kDecodeTile + t]), load_row_n(row_at<T>(from.v, tile.offset[t]) + d, left), sum);
    store(at, sum);
  }
}

/// Adds weights [head, kDecodeTile] times values to `out`, partial_stride(value_dim) floats a head.
template <class Rows, int H>
void add_heads(const Source& from, const Tile& tile, Ahead& ahead, const float* weights, float* out) {
  constexpr int kVectors = kVectorsBeside<H>;
  const int dim = from.value_dim;
  int d = 0;
  for (; d + kVectors * kLanes <= dim; d += kVectors * kLanes)
    add_values<Rows, H, kVectors>(from, tile, ahead, weights, d, out);
  if constexpr (kVectors > 2)
    for (; d + 2 * kLanes <= dim; d += 2 * kLanes) add_values<Rows, H, 2>(from, tile, ahead, weights, d, out);
  for (; d + kLanes <= dim; d += kLanes) add_values<Rows, H, 1>(from, tile, ahead, weights, d, out);
  if (d < dim) add_tail_values<Rows, H>(from, tile, weights, d, out);
}

/// Calls f<H> on register tiles of at most kTileHeads heads, largest first.
template <class Body>
void for_heads(int group, Body body) {
  int g = 0;
  for (; g + kTileHeads <= group; g += kTileHeads) body.template operator()<kTileHeads>(g);
  if (group - g == 3) body.template operator()<3>(g);
  if (group - g == 2) body.template operator()<2>(g);
  if (group - g == 1) body.template operator()<1>(g);
}

}  // namespace
}  // namespace vortex::VORTEX_ISA
