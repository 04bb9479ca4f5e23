// Decode over listed pages, compiled once per instruction set. Tokens are read through a tile of row offsets, so page
// size and page order do not matter; each row of k and v is read from memory once for all heads of the group.
#include "attention/cpu/kernels.h"
#include "attention/cpu/rows.h"

namespace vortex::VORTEX_ISA {
namespace {

using attention::DecodeChunk;
using attention::kDecodeTile;
using attention::KvPages;
using attention::MergeChunks;
using attention::padded_dim;
using attention::partial_stride;

constexpr float kMinusInfinity = -__builtin_huge_valf();
// Independent sums that hide the latency of fma, and with two operands still fit 16 registers.
constexpr int kSums = 8;

/// Offsets of the rows of up to kDecodeTile tokens; the last one is repeated to the end of the tile, so that whole
/// vectors of tokens read valid memory.
struct Tile {
  int64_t offset[kDecodeTile];
  int tokens = 0;
};

/// Walks the tokens of a chunk.
class Cursor {
 public:
  explicit Cursor(const DecodeChunk& chunk)
      : chunk_(chunk), row_bytes_(chunk.kv.page_bytes / chunk.kv.page_tokens), token_(chunk.skip_tokens) {}

  void fill(Tile* tile) {
    int n = 0;
    while (n < kDecodeTile && page_ < chunk_.count) {
      const int page_tokens = page_ + 1 == chunk_.count ? chunk_.last_tokens : chunk_.kv.page_tokens;
      const int64_t page = chunk_.pages[page_] * chunk_.kv.page_bytes;
      while (n < kDecodeTile && token_ < page_tokens) tile->offset[n++] = page + token_++ * row_bytes_;
      if (token_ == page_tokens) {
        ++page_;
        token_ = 0;
      }
    }
    tile->tokens = n;
    for (int i = n; n > 0 && i < kDecodeTile; ++i) tile->offset[i] = tile->offset[n - 1];
  }

 private:
  const DecodeChunk& chunk_;
  const int64_t row_bytes_;
  int page_ = 0;
  int token_;
};

template <class T>
const T* row_at(const std::byte* base, int64_t offset) {
  return reinterpret_cast<const T*>(base + offset);
}

void prefetch_rows(const std::byte* base, const Tile& tile, int token, int count, int row_bytes) {
  for (int t = token; t < token + count && t < tile.tokens; ++t)
    for (int b = 0; b < row_bytes; b += 64) __builtin_prefetch(base + tile.offset[t] + b);
}

/// Scores of kLanes / H tokens from `t` on for H heads: lane h * tokens + i of the result.
template <class T, int H>
F32 score_lanes(const KvPages& kv, const Tile& tile, int t, const float* q) {
  constexpr int kTokens = kLanes / H;
  const int stride = padded_dim(kv.key_dim);
  const T* k[kTokens];
  for (int i = 0; i < kTokens; ++i) k[i] = row_at<T>(kv.k, tile.offset[t + i]);
  F32 sums[kLanes];
  for (F32& s : sums) s = zero();
  int d = 0;
  for (; d + kLanes <= kv.key_dim; d += kLanes) {
    F32 keys[kTokens];
#pragma GCC unroll 16
    for (int i = 0; i < kTokens; ++i) keys[i] = load_row(k[i] + d);
#pragma GCC unroll 16
    for (int h = 0; h < H; ++h) {
      const F32 query = load(q + h * stride + d);
#pragma GCC unroll 16
      for (int i = 0; i < kTokens; ++i) sums[h * kTokens + i] = fma(query, keys[i], sums[h * kTokens + i]);
    }
  }
  if (d < kv.key_dim) {
    for (int i = 0; i < kTokens; ++i) {
      const F32 keys = load_row_n(k[i] + d, kv.key_dim - d);
      for (int h = 0; h < H; ++h) sums[h * kTokens + i] = fma(load(q + h * stride + d), keys, sums[h * kTokens + i]);
    }
  }
  return reduce_add_rows(sums);
}

template <class T, int H>
void score_heads(const KvPages& kv, const Tile& tile, const Tile* prefetch, const float* q, float* scores) {
  constexpr int kTokens = kLanes / H;
  for (int t = 0; t < tile.tokens; t += kTokens) {
    if (prefetch) prefetch_rows(kv.k, *prefetch, t, kTokens, kv.key_dim * static_cast<int>(sizeof(T)));
    float lanes_out[kLanes];
    store(lanes_out, score_lanes<T, H>(kv, tile, t, q));
    for (int h = 0; h < H; ++h)
      for (int i = 0; i < kTokens; ++i) scores[h * kDecodeTile + t + i] = lanes_out[h * kTokens + i];
  }
}

/// Adds weights * v to kVectors vectors of H heads from column d on.
template <class T, int H, int kVectors>
void add_values(const KvPages& kv, const Tile& tile, const Tile* prefetch, const float* weights, int d, float* out) {
  const int stride = partial_stride(kv.value_dim);
  F32 sums[H][kVectors];
#pragma GCC unroll 16
  for (int h = 0; h < H; ++h)
#pragma GCC unroll 16
    for (int i = 0; i < kVectors; ++i) sums[h][i] = load(out + h * stride + d + i * kLanes);
  for (int t = 0; t < tile.tokens; ++t) {
    if (prefetch) prefetch_rows(kv.v, *prefetch, t, 1, kv.value_dim * static_cast<int>(sizeof(T)));
    const T* v = row_at<T>(kv.v, tile.offset[t]) + d;
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
void add_tail_values(const KvPages& kv, const Tile& tile, const float* weights, int d, float* out) {
  for (int h = 0; h < H; ++h) {
    float* at = out + h * partial_stride(kv.value_dim) + d;
    F32 sum = load(at);
    for (int t = 0; t < tile.tokens; ++t)
      sum = fma(set1(weights[h * kDecodeTile + t]), load_row_n(row_at<T>(kv.v, tile.offset[t]) + d, kv.value_dim - d),
                sum);
    store(at, sum);
  }
}

template <class T, int H>
void add_heads(const KvPages& kv, const Tile& tile, const Tile* prefetch, const float* weights, float* out) {
  constexpr int kVectors = kSums / H;
  int d = 0;
  for (; d + kVectors * kLanes <= kv.value_dim; d += kVectors * kLanes)
    add_values<T, H, kVectors>(kv, tile, d == 0 ? prefetch : nullptr, weights, d, out);
  for (; d + kLanes <= kv.value_dim; d += kLanes) add_values<T, H, 1>(kv, tile, nullptr, weights, d, out);
  if (d < kv.value_dim) add_tail_values<T, H>(kv, tile, weights, d, out);
}

/// Calls f<4>, f<2>, f<1> on as many heads as are left, largest first.
template <class Body>
void for_heads(int group, Body body) {
  int g = 0;
  for (; g + 4 <= group; g += 4) body.template operator()<4>(g);
  for (; g + 2 <= group; g += 2) body.template operator()<2>(g);
  for (; g < group; ++g) body.template operator()<1>(g);
}

void scale_row(float* row, int n, float factor) {
  for (int d = 0; d < n; d += kLanes) store(row + d, load(row + d) * set1(factor));
}

/// Turns the scores of one head into weights under the new maximum, and brings what was summed before under it.
void softmax_tile(float* scores, int tokens, int dim, float* out) {
  const int padded = padded_dim(dim);
  float& max_so_far = out[padded];
  float& sum_so_far = out[padded + 1];
  for (int t = tokens; t < kDecodeTile; ++t) scores[t] = kMinusInfinity;
  F32 top = set1(max_so_far);
  for (int t = 0; t < kDecodeTile; t += kLanes) top = max(top, load(scores + t));
  const float new_max = reduce_max(top);
  F32 total = zero();
  for (int t = 0; t < kDecodeTile; t += kLanes) {
    const F32 weights = exp(load(scores + t) - set1(new_max));
    store(scores + t, weights);
    total = total + weights;
  }
  if (new_max != max_so_far) {
    float correction[kLanes];
    store(correction, exp(set1(max_so_far - new_max)));
    scale_row(out, padded, correction[0]);
    sum_so_far *= correction[0];
    max_so_far = new_max;
  }
  sum_so_far += reduce_add(total);
}

/// A sink is a token of a row's first chunk that has a score and no value.
void start_row(const DecodeChunk& chunk, int g, float* q) {
  const int dim = chunk.kv.key_dim;
  for (int d = 0; d < padded_dim(dim); ++d) q[d] = d < dim ? chunk.q[g * dim + d] * chunk.scale : 0.0f;
  const int padded = padded_dim(chunk.kv.value_dim);
  float* out = chunk.out + g * partial_stride(chunk.kv.value_dim);
  for (int d = 0; d < padded; ++d) out[d] = 0.0f;
  out[padded] = chunk.sinks != nullptr ? chunk.sinks[g] : kMinusInfinity;
  out[padded + 1] = chunk.sinks != nullptr ? 1.0f : 0.0f;
}

template <class T>
void decode_tiles(const DecodeChunk& chunk) {
  const KvPages& kv = chunk.kv;
  const bool own_values = kv.v != kv.k;  // else reading the keys has brought them
  const int q_stride = padded_dim(kv.key_dim);
  const int out_stride = partial_stride(kv.value_dim);
  float* q = chunk.scratch;
  float* scores = q + chunk.group * q_stride;
  for (int g = 0; g < chunk.group; ++g) start_row(chunk, g, q + g * q_stride);

  Cursor cursor(chunk);
  Tile tiles[2];
  cursor.fill(&tiles[0]);
  for (int i = 0; tiles[i].tokens > 0; i ^= 1) {
    const Tile& tile = tiles[i];
    const Tile& next = tiles[i ^ 1];
    cursor.fill(&tiles[i ^ 1]);
    for_heads(chunk.group, [&]<int H>(int g) {
      score_heads<T, H>(kv, tile, g == 0 ? &next : nullptr, q + g * q_stride, scores + g * kDecodeTile);
    });
    for (int g = 0; g < chunk.group; ++g)
      softmax_tile(scores + g * kDecodeTile, tile.tokens, kv.value_dim, chunk.out + g * out_stride);
    for_heads(chunk.group, [&]<int H>(int g) {
      add_heads<T, H>(kv, tile, g == 0 && own_values ? &next : nullptr, scores + g * kDecodeTile,
                      chunk.out + g * out_stride);
    });
  }
}

}  // namespace

void decode_chunk(const DecodeChunk& chunk) {
  if (chunk.kv.bf16)
    decode_tiles<uint16_t>(chunk);
  else
    decode_tiles<float>(chunk);
}

void merge_chunks(const MergeChunks& merge) {
  const int padded = padded_dim(merge.dim);
  const int stride = partial_stride(merge.dim);
  for (int g = 0; g < merge.group; ++g) {
    const auto partial = [&](int c) { return merge.partials + (int64_t{c} * merge.group + g) * stride; };
    float top = kMinusInfinity;
    for (int c = 0; c < merge.count; ++c) top = partial(c)[padded] > top ? partial(c)[padded] : top;
    float total = 0.0f;
    for (int c = 0; c < merge.count; ++c)
      total += reduce_max(exp(set1(partial(c)[padded] - top))) * partial(c)[padded + 1];
    for (int d = 0; d < merge.dim; d += kLanes) {
      F32 sum = zero();
      for (int c = 0; c < merge.count; ++c) sum = fma(exp(set1(partial(c)[padded] - top)), load(partial(c) + d), sum);
      const F32 result = sum / set1(total);
      float* out = merge.out + int64_t{g} * merge.dim + d;
      if (d + kLanes <= merge.dim)
        store(out, result);
      else
        store_n(out, result, merge.dim - d);
    }
  }
}

}  // namespace vortex::VORTEX_ISA
