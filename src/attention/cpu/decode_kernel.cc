// Decode over listed pages, compiled once per instruction set. Tokens are read through a tile of row offsets, so page
// size and page order do not matter; each row of k and v is read from memory once for all heads of the group.
#include "attention/cpu/decode_products.h"
#include "attention/cpu/kernels.h"

namespace vortex::VORTEX_ISA {
namespace {

using attention::DecodeChunk;
using attention::kTileHeads;
using attention::MergeChunks;

constexpr float kMinusInfinity = -__builtin_huge_valf();

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
  }

 private:
  const DecodeChunk& chunk_;
  const int64_t row_bytes_;
  int page_ = 0;
  int token_;
};

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

/// One chunk, a tile at a time.
template <class T>
class Decode {
 public:
  explicit Decode(const DecodeChunk& chunk)
      : chunk_(chunk),
        paged_{chunk.kv.k, chunk.kv.v, chunk.kv.key_dim, chunk.kv.value_dim},
        q_stride_(padded_dim(paged_.key_dim)),
        out_stride_(partial_stride(paged_.value_dim)),
        q_(chunk.scratch),
        scores_(q_ + chunk.group * q_stride_),
        lanes_(scores_ + chunk.group * kDecodeTile),
        wide_(lanes_ + kTileHeads * kDecodeTile * attention::kMaxLanes) {
    for (int g = 0; g < chunk.group; ++g) start_row(chunk, g, q_ + g * q_stride_);
  }

  void run() {
    Cursor cursor(chunk_);
    Tile tiles[2];
    cursor.fill(&tiles[0]);
    for (int i = 0; tiles[i].tokens > 0; i ^= 1) {
      cursor.fill(&tiles[i ^ 1]);
      if (latent() && sizeof(T) < sizeof(float) && chunk_.group > kTileHeads)
        attend_widened(tiles[i], tiles[i ^ 1]);
      else
        attend(tiles[i], tiles[i ^ 1]);
    }
  }

 private:
  bool latent() const { return paged_.v == paged_.k; }

  void attend(const Tile& tile, const Tile& next) {
    const int value_tiles = tiles(paged_.value_dim / kLanes);
    Ahead keys = ahead(paged_.k, next, paged_.key_dim, tiles(tile.tokens) + (latent() ? value_tiles : 0));
    Ahead values = ahead(paged_.v, next, paged_.value_dim, value_tiles);
    for_heads(chunk_.group, [&]<int H>(int g) {
      score_heads<T, H>(paged_, tile, keys, q_ + g * q_stride_, lanes_, scores_ + g * kDecodeTile);
    });
    softmax(tile);
    for_heads(chunk_.group, [&]<int H>(int g) {
      add_heads<T, H>(paged_, tile, latent() ? keys : values, scores_ + g * kDecodeTile, chunk_.out + g * out_stride_);
    });
  }

  /// bfloat16 latents of more heads than a register tile has: the first of them leave the rows widened for the others
  /// and for the values.
  void attend_widened(const Tile& tile, const Tile& next) {
    Ahead rows_ahead = ahead(paged_.k, next, paged_.key_dim, tiles(tile.tokens) + tiles(paged_.value_dim / kLanes));
    const auto* base = reinterpret_cast<const std::byte*>(wide_);
    const Source source{base, base, paged_.key_dim, paged_.value_dim};
    Tile rows{.tokens = tile.tokens};
    for (int t = 0; t < tile.tokens; ++t) rows.offset[t] = int64_t{t} * q_stride_ * static_cast<int>(sizeof(float));
    for_heads(chunk_.group, [&]<int H>(int g) {
      if (g == 0)
        score_heads<T, H, true>(paged_, tile, rows_ahead, q_, lanes_, scores_, wide_);
      else
        score_heads<float, H>(source, rows, rows_ahead, q_ + g * q_stride_, lanes_, scores_ + g * kDecodeTile);
    });
    softmax(tile);
    for_heads(chunk_.group, [&]<int H>(int g) {
      add_heads<float, H>(source, rows, rows_ahead, scores_ + g * kDecodeTile, chunk_.out + g * out_stride_);
    });
  }

  /// Register tiles of a pass over n tokens, or vectors of values, for all heads; roughly where the last are fewer.
  int tiles(int n) const {
    const int heads = chunk_.group < kTileHeads ? chunk_.group : kTileHeads;
    const int beside = heads == kTileHeads ? kBeside<kTileHeads> : heads == 1 ? kBeside<1> : kBeside<2>;
    const int count = chunk_.group / heads * (n / beside);
    return count > 0 ? count : 1;
  }
  static Ahead ahead(const std::byte* base, const Tile& next, int dim, int steps) {
    return {base, next, dim * static_cast<int>(sizeof(T)), steps};
  }

  void softmax(const Tile& tile) {
    for (int g = 0; g < chunk_.group; ++g)
      softmax_tile(scores_ + g * kDecodeTile, tile.tokens, paged_.value_dim, chunk_.out + g * out_stride_);
  }

  const DecodeChunk& chunk_;
  const Source paged_;
  const int q_stride_, out_stride_;
  float* const q_;       // [group, padded key_dim]
  float* const scores_;  // [group, kDecodeTile]
  float* const lanes_;
  float* const wide_;  // [kDecodeTile, padded key_dim]
};

}  // namespace

void decode_chunk(const DecodeChunk& chunk) {
  if (chunk.kv.bf16)
    Decode<uint16_t>(chunk).run();
  else
    Decode<float>(chunk).run();
}

void merge_chunks(const MergeChunks& merge) {
  const int padded = padded_dim(merge.dim);
  const int stride = partial_stride(merge.dim);
  for (int g = 0; g < merge.group; ++g) {
    const auto partial = [&](int c) { return merge.partials + (int64_t{c} * merge.group + g) * stride; };
    float top = kMinusInfinity;
    for (int c = 0; c < merge.count; ++c) top = partial(c)[padded] > top ? partial(c)[padded] : top;
    float total = 0.0f;
    for (int c = 0; c < merge.count; ++c) {
      float& factor = partial(c)[padded];  // in place of the maximum
      factor = reduce_max(exp(set1(factor - top)));
      total += factor * partial(c)[padded + 1];
    }
    for (int d = 0; d < merge.dim; d += kLanes) {
      F32 sum = zero();
      for (int c = 0; c < merge.count; ++c) sum = fma(set1(partial(c)[padded]), load(partial(c) + d), sum);
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
