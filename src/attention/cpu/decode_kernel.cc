// Decode over listed pages, compiled once per instruction set. Tokens are read through a tile of row offsets, so page
// size and page order do not matter; each row of k and v is read from memory once for all heads of the group.
#include "attention/cpu/decode_codes.h"
#include "attention/cpu/decode_products.h"
#include "attention/cpu/kernels.h"

namespace vortex::VORTEX_ISA {
namespace {

using attention::DecodeGroup;
using attention::kMaxGroupChunks;
using attention::kMaxLanes;
using attention::kTileHeads;
using attention::KvElement;
using attention::KvPages;
using attention::MergeChunks;

constexpr float kMinusInfinity = -__builtin_huge_valf();

void scale_row(float* row, int n, F32 factor) {
  for (int d = 0; d < n; d += kLanes) store(row + d, load(row + d) * factor);
}

/// Whole vectors that hold n floats.
int whole_vectors(int n) { return (n + kLanes - 1) / kLanes * kLanes; }

/// The largest of one head's scores and `max_so_far`; what fills the last vector counts as no token.
float new_max(float* scores, int tokens, float max_so_far) {
  const int end = whole_vectors(tokens);
  for (int t = tokens; t < end; ++t) scores[t] = kMinusInfinity;
  F32 top = set1(max_so_far);
  for (int t = 0; t < end; t += kLanes) top = max(top, load(scores + t));
  return reduce_max(top);
}

/// How far scores may lie above what their weights are relative to: a new maximum costs more than a larger weight.
constexpr float kHeadroom = 8.0f;

/// Turns the scores of one head into weights, and brings what was summed before under their maximum if it is much
/// larger than the one so far.
void weigh(float* scores, int tokens, float new_max, int padded, float* out) {
  float& max_so_far = out[padded];
  float* const lane_sums = out + padded + kMaxLanes;
  F32 total = load(lane_sums);
  if (!(new_max <= max_so_far + kHeadroom)) {
    const F32 correction = exp(set1(max_so_far - new_max));
    scale_row(out, padded, correction);
    total = total * correction;
    max_so_far = new_max;
  }
  const F32 top = set1(max_so_far);
  for (int t = 0; t < tokens; t += kLanes) {
    const F32 weights = exp(load(scores + t) - top);
    store(scores + t, weights);
    total = total + weights;
  }
  store(lane_sums, total);
}

/// A sink is a token of a row's first chunk that has a score and no value.
void start_sums(const DecodeChunk& chunk, int g, float* out) {
  const int padded = padded_dim(chunk.kv.value_dim);
  for (int d = 0; d < partial_stride(chunk.kv.value_dim); ++d) out[d] = 0.0f;
  out[padded] = chunk.sinks != nullptr ? chunk.sinks[g] : kMinusInfinity;
  out[padded + kMaxLanes] = chunk.sinks != nullptr ? 1.0f : 0.0f;
}

/// Some chunks, a tile of each in turn.
template <class Rows>
class Decode {
 public:
  explicit Decode(const DecodeGroup& of)
      : chunks_(of.chunks),
        count_(of.count),
        group_(chunks_->group),
        paged_{chunks_->kv.k, chunks_->kv.v, chunks_->kv.key_dim, chunks_->kv.value_dim},
        q_stride_(padded_dim(paged_.key_dim)),
        out_stride_(partial_stride(paged_.value_dim)),
        queries_(of.scratch),
        scores_(queries_ + int64_t{count_} * group_ * q_stride_),
        lanes_(scores_ + group_ * kDecodeTile),
        wide_(lanes_ + kTileHeads * kDecodeTile * kMaxLanes),
        scales_(wide_ + kDecodeTile * q_stride_),
        key_steps_(scales_ + int64_t{count_} * group_),
        value_steps_(latent() ? key_steps_ : key_steps_ + kDecodeTile) {
    for (int c = 0; c < count_; ++c) start(c);
  }

  void run() {
    Tile tiles[2];
    fill_after(count_ - 1, &tiles[0]);
    fetch_first(tiles[0]);
    for (int i = 0; tiles[i].tokens > 0; i ^= 1) {
      fill_after(tiles[i].chunk, &tiles[i ^ 1]);
      if constexpr (kCodes<Rows>)
        attend_codes(tiles[i], tiles[i ^ 1]);
      else if (latent() && sizeof(typename Rows::Element) < sizeof(float) && group_ > kTileHeads)
        attend_widened(tiles[i], tiles[i ^ 1]);
      else
        attend(tiles[i], tiles[i ^ 1]);
    }
    for (int c = 0; c < count_; ++c)
      for (int g = 0; g < group_; ++g) finish(chunks_[c].out + g * out_stride_);
  }

 private:
  bool latent() const { return paged_.v == paged_.k; }
  float* queries(int chunk) const { return queries_ + int64_t{chunk} * group_ * q_stride_; }

  void start(int c) {
    const DecodeChunk& chunk = chunks_[c];
    cursors_[c].start(chunk);
    for (int g = 0; g < group_; ++g) {
      const float* from = chunk.q + g * paged_.key_dim;
      float* q = queries(c) + g * q_stride_;
      if constexpr (kCodes<Rows>) {
        const int padded = (paged_.key_dim + 2 * kLanes - 1) / (2 * kLanes) * (2 * kLanes);
        scales_[c * group_ + g] =
            chunk.scale * round_query(from, paged_.key_dim, padded, reinterpret_cast<int16_t*>(q));
      } else {
        in_read_order<Rows>(from, paged_.key_dim, q);
        for (int d = paged_.key_dim; d < q_stride_; ++d) q[d] = 0.0f;
        scale_row(q, q_stride_, set1(chunk.scale));
      }
      start_sums(chunk, g, chunk.out + g * out_stride_);
    }
  }

  /// The next tile of the chunk that follows, of those that have tokens left.
  void fill_after(int chunk, Tile* tile) {
    for (int i = 1; i <= count_; ++i) {
      tile->chunk = (chunk + i) % count_;
      cursors_[tile->chunk].fill(tile);
      if (tile->tokens > 0) return;
    }
  }

  void finish(float* out) {
    const int padded = padded_dim(paged_.value_dim);
    out[padded + 1] = reduce_add(load(out + padded + kMaxLanes));
    if (!Rows::kPairs) return;
    for (int d = 0; d < paged_.value_dim; ++d) wide_[d] = out[d];
    in_column_order<Rows>(wide_, paged_.value_dim, out);
  }

  void attend(const Tile& tile, const Tile& next) {
    const float* q = queries(tile.chunk);
    float* out = chunks_[tile.chunk].out;
    Ahead keys(paged_.k, next, score_steps(tile) + (latent() ? value_steps(tile) : 0));
    Ahead values(paged_.v, next, value_steps(tile));
    for_heads(group_, [&]<int H>(int g) {
      score_heads<Rows, H>(paged_, tile, keys, q + g * q_stride_, lanes_, scores_ + g * kDecodeTile);
    });
    softmax(tile, out);
    for_heads(group_, [&]<int H>(int g) {
      add_heads<Rows, H>(paged_, tile, latent() ? keys : values, scores_ + g * kDecodeTile, out + g * out_stride_);
    });
  }

  /// The steps of the keys are part of the scores, those of the values of the weights.
  void attend_codes(const Tile& tile, const Tile& next) {
    const auto* q = reinterpret_cast<const int16_t*>(queries(tile.chunk));
    float* out = chunks_[tile.chunk].out;
    Ahead keys(paged_.k, next, score_steps(tile) + (latent() ? value_steps(tile) : 0));
    Ahead values(paged_.v, next, value_steps(tile));
    gather_steps(paged_.k, tile, paged_.key_dim, key_steps_);
    if (!latent()) gather_steps(paged_.v, tile, paged_.value_dim, value_steps_);
    for_heads(group_, [&]<int H>(int g) {
      score_codes<H>(paged_, tile, keys, q + g * 2 * q_stride_, 2 * q_stride_, scales_ + tile.chunk * group_ + g,
                     key_steps_, lanes_, scores_ + g * kDecodeTile);
    });
    softmax(tile, out);
    for (int g = 0; g < group_; ++g)
      for (int t = 0; t < tile.tokens; t += kLanes)
        store(scores_ + g * kDecodeTile + t, load(scores_ + g * kDecodeTile + t) * load(value_steps_ + t));
    for_heads(group_, [&]<int H>(int g) {
      add_heads<Rows, H>(paged_, tile, latent() ? keys : values, scores_ + g * kDecodeTile, out + g * out_stride_);
    });
  }

  /// bfloat16 latents of more heads than a register tile has: the first of them leave the rows widened for the others
  /// and for the values.
  void attend_widened(const Tile& tile, const Tile& next) {
    const float* q = queries(tile.chunk);
    float* out = chunks_[tile.chunk].out;
    Ahead ahead(paged_.k, next, score_steps(tile) + value_steps(tile));
    const auto* base = reinterpret_cast<const std::byte*>(wide_);
    const Source source{base, base, paged_.key_dim, paged_.value_dim};
    Tile rows{.tokens = tile.tokens};
    for (int t = 0; t < tile.tokens; ++t) rows.offset[t] = int64_t{t} * q_stride_ * static_cast<int>(sizeof(float));
    using Wide = PlainRows<float>;
    for_heads(group_, [&]<int H>(int g) {
      if (g == 0)
        score_heads<Rows, H, true>(paged_, tile, ahead, q, lanes_, scores_, wide_);
      else
        score_heads<Wide, H>(source, rows, ahead, q + g * q_stride_, lanes_, scores_ + g * kDecodeTile);
    });
    softmax(tile, out);
    for_heads(group_, [&]<int H>(int g) {
      add_heads<Wide, H>(source, rows, ahead, scores_ + g * kDecodeTile, out + g * out_stride_);
    });
  }

  /// Steps of fetching in the two products, those of whole register tiles of the first heads.
  int score_steps(const Tile& tile) const {
    int steps = 0;
    for_heads(group_, [&]<int H>(int) { steps += tile.tokens / kTokensBeside<H>; });
    return steps > 0 ? steps : 1;
  }
  int value_steps(const Tile& tile) const {
    const int fetches = (tile.tokens + kFetchTokens - 1) / kFetchTokens;
    int steps = 0;
    for_heads(group_, [&]<int H>(int) { steps += paged_.value_dim / (kLanes * kVectorsBeside<H>)*fetches; });
    return steps > 0 ? steps : 1;
  }

  /// No tile came before the first one.
  void fetch_first(const Tile& tile) const {
    for (int i = 0; i < tile.runs; ++i) {
      fetch(paged_.k, tile.run[i]);
      if (!latent()) fetch(paged_.v, tile.run[i]);
    }
  }

  /// Some heads at a time, so that one waits while others compute.
  void softmax(const Tile& tile, float* out) {
    const int padded = padded_dim(paged_.value_dim);
    for (int first = 0; first < group_; first += kTileHeads) {
      const int end = first + kTileHeads < group_ ? first + kTileHeads : group_;
      float tops[kTileHeads];
      for (int g = first; g < end; ++g)
        tops[g - first] = new_max(scores_ + g * kDecodeTile, tile.tokens, out[g * out_stride_ + padded]);
      for (int g = first; g < end; ++g)
        weigh(scores_ + g * kDecodeTile, tile.tokens, tops[g - first], padded, out + g * out_stride_);
    }
  }

  const DecodeChunk* const chunks_;
  const int count_;
  const int group_;
  const Source paged_;
  const int q_stride_, out_stride_;
  float* const queries_;  // [chunk, group, padded key_dim]
  float* const scores_;   // [group, kDecodeTile]
  float* const lanes_;
  float* const wide_;         // [kDecodeTile, padded key_dim]
  float* const scales_;       // codes: [chunk, group], of the queries
  float* const key_steps_;    // codes: [kDecodeTile]
  float* const value_steps_;  // the same
  Cursor cursors_[kMaxGroupChunks];
};

}  // namespace

void decode_chunks(const DecodeGroup& group) {
  const KvPages& kv = group.chunks->kv;
  if (kv.element == KvElement::kCode8)
    Decode<CodeRows>(group).run();
  else if (kv.element == KvElement::kFloat32)
    Decode<PlainRows<float>>(group).run();
  else if (kv.k == kv.v)
    Decode<PlainRows<uint16_t>>(group).run();
  else
    Decode<PairedRows>(group).run();
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
