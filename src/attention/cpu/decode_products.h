// The two products of decode over one tile of tokens, as register tiles: scores of heads x tokens, and sums of heads x
// columns of values. Only for files compiled once per instruction set.
#pragma once

#include "attention/cpu/kernels.h"
#include "attention/cpu/rows.h"

namespace vortex::VORTEX_ISA {
namespace {

using attention::kDecodeTile;
using attention::kTileHeads;
using attention::padded_dim;
using attention::partial_stride;

/// Where the rows of up to kDecodeTile tokens are, in bytes from their field's base.
struct Tile {
  int64_t offset[kDecodeTile];
  int tokens = 0;
};

/// Keys and values as one pass over a tile reads them.
struct Source {
  const std::byte* k;
  const std::byte* v;
  int key_dim;
  int value_dim;
};

/// Fetches the rows of the next tile, a few cache lines before each register tile of this one: more at once than the
/// core has outstanding would stall it.
class Ahead {
 public:
  Ahead(const std::byte* base, const Tile& tile, int row_bytes, int steps)
      : base_(base),
        tile_(tile),
        row_bytes_(row_bytes),
        lines_(((row_bytes + 63) / 64 * tile.tokens + steps - 1) / steps) {}

  /// One of the `steps` that together fetch everything.
  void step() {
    for (int i = 0; i < lines_ && token_ < tile_.tokens; ++i) {
      __builtin_prefetch(base_ + tile_.offset[token_] + byte_);
      byte_ += 64;
      if (byte_ < row_bytes_) continue;
      byte_ = 0;
      ++token_;
    }
  }

 private:
  const std::byte* const base_;
  const Tile& tile_;
  const int row_bytes_;
  const int lines_;
  int token_ = 0;
  int byte_ = 0;
};

/// Tokens (or vectors of values) beside H heads. Eight independent sums hide the latency of fma; with four heads,
/// 12 sums, 3 operands and a broadcast fill 16 registers, and AVX-512 has room for more.
template <int H>
constexpr int kBeside = H < 4          ? 8 / H
                        : kLanes == 16 ? 4
                                       : 3;

template <class T>
const T* row_at(const std::byte* base, int64_t offset) {
  return reinterpret_cast<const T*>(base + offset);
}

/// Lane by lane sums over the columns of N tokens' keys times H heads' queries: lanes [head, token, kLanes], heads
/// kDecodeTile tokens apart. The keys are left as float32 in `wide` [token, padded key_dim] when that is not null.
template <class T, int H, int N, bool kWiden>
void dot_tokens(const Source& from, const int64_t* offsets, const float* q, float* lanes, float* wide) {
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
  const auto add = [&](int d, const F32* keys) {
#pragma GCC unroll 16
    for (int h = 0; h < H; ++h) {
      const F32 query = load(q + h * stride + d);
#pragma GCC unroll 16
      for (int i = 0; i < N; ++i) sums[h][i] = fma(query, keys[i], sums[h][i]);
    }
    if constexpr (kWiden)
#pragma GCC unroll 16
      for (int i = 0; i < N; ++i) store(wide + i * stride + d, keys[i]);
  };
  F32 keys[N];
  int d = 0;
  for (; d + kLanes <= dim; d += kLanes) {
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) keys[i] = load_row(k[i] + d);
    add(d, keys);
  }
  if (d < dim) {
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) keys[i] = load_row_n(k[i] + d, dim - d);
    add(d, keys);
  }
#pragma GCC unroll 16
  for (int h = 0; h < H; ++h)
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) store(lanes + (h * kDecodeTile + i) * kLanes, sums[h][i]);
}

/// Scores [head, kDecodeTile] of H heads; `lanes` is scratch for H * kDecodeTile vectors.
template <class T, int H, bool kWiden = false>
void score_heads(const Source& from, const Tile& tile, Ahead& ahead, const float* q, float* lanes, float* scores,
                 float* wide = nullptr) {
  const auto wide_at = [&](int token) { return kWiden ? wide + token * padded_dim(from.key_dim) : nullptr; };
  int t = 0;
  for (; t + kBeside<H> <= tile.tokens; t += kBeside<H>) {
    ahead.step();
    dot_tokens<T, H, kBeside<H>, kWiden>(from, tile.offset + t, q, lanes + t * kLanes, wide_at(t));
  }
  for (; t < tile.tokens; ++t) {
    dot_tokens<T, H, 1, kWiden>(from, tile.offset + t, q, lanes + t * kLanes, wide_at(t));
  }
  for (int h = 0; h < H; ++h) {
    for (t = 0; t < tile.tokens; t += kLanes) {
      F32 rows[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) rows[i] = load(lanes + (h * kDecodeTile + t + i) * kLanes);
      store(scores + h * kDecodeTile + t, reduce_add_rows(rows));
    }
  }
}

/// Adds weights * v to kVectors vectors of H heads from column d on.
template <class T, int H, int kVectors>
void add_values(const Source& from, const Tile& tile, const float* weights, int d, float* out) {
  const int stride = partial_stride(from.value_dim);
  F32 sums[H][kVectors];
#pragma GCC unroll 16
  for (int h = 0; h < H; ++h)
#pragma GCC unroll 16
    for (int i = 0; i < kVectors; ++i) sums[h][i] = load(out + h * stride + d + i * kLanes);
  for (int t = 0; t < tile.tokens; ++t) {
    const T* v = row_at<T>(from.v, tile.offset[t]) + d;
    F32 values[kVectors];
#pragma GCC unroll 16
    for (int i = 0; i < kVectors; ++i) values[i] = load_row(v + i * kLanes);
#pragma GCC unroll 16
    for (int h = 0; h < H; ++h) {
      const F32 weight = set1(weights[h * kDecodeTile + t]);
#pragma GCC unroll 16
      for (int i = 0; i < kVectors; ++i) sums[h][i] = fma(weight, values[i], sums[h][i]);
    }
  }
#pragma GCC unroll 16
  for (int h = 0; h < H; ++h)
#pragma GCC unroll 16
    for (int i = 0; i < kVectors; ++i) store(out + h * stride + d + i * kLanes, sums[h][i]);
}

/// The columns of the last, incomplete vector.
template <class T, int H>
void add_tail_values(const Source& from, const Tile& tile, const float* weights, int d, float* out) {
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
template <class T, int H>
void add_heads(const Source& from, const Tile& tile, Ahead& ahead, const float* weights, float* out) {
  constexpr int kVectors = kBeside<H>;
  int d = 0;
  for (; d + kVectors * kLanes <= from.value_dim; d += kVectors * kLanes) {
    ahead.step();
    add_values<T, H, kVectors>(from, tile, weights, d, out);
  }
  for (; d + kLanes <= from.value_dim; d += kLanes) add_values<T, H, 1>(from, tile, weights, d, out);
  if (d < from.value_dim) add_tail_values<T, H>(from, tile, weights, d, out);
}

/// Calls f<kTileHeads>, f<2>, f<1> on as many heads as are left, largest first.
template <class Body>
void for_heads(int group, Body body) {
  int g = 0;
  for (; g + kTileHeads <= group; g += kTileHeads) body.template operator()<kTileHeads>(g);
  for (; g + 2 <= group; g += 2) body.template operator()<2>(g);
  for (; g < group; ++g) body.template operator()<1>(g);
}

}  // namespace
}  // namespace vortex::VORTEX_ISA
