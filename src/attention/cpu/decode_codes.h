// Scores of keys that are 8-bit codes: integer products with a query rounded to 14 bits (round_query_row_wide), then
// the steps of both. Only for files compiled once per instruction set.
#pragma once

#include "attention/cpu/decode_products.h"
#include "attention/cpu/rows.h"
#include "kernels/cpu/simd/words.h"
#include "tensor/codes.h"

namespace vortex::VORTEX_ISA {
namespace {

/// Codes as they are added up: without their steps, which are part of the weights.
struct CodeRows {
  using Element = int8_t;
  static constexpr bool kPairs = false;
};
template <class Rows>
constexpr bool kCodes = false;
template <>
constexpr bool kCodes<CodeRows> = true;

/// n numbers as codes, zeros up to `padded`, a multiple of 2 * kLanes. Returns their step, NaN when one is not finite.
inline float round_query(const float* from, int n, int padded, int16_t* to) {
  F32 top = zero(), poison = zero();
  for (int d = 0; d < n; d += kLanes) {
    const F32 x = n - d < kLanes ? load_n(from + d, n - d) : load(from + d);
    top = max(top, max(x, zero() - x));
    poison = fma(x, zero(), poison);
  }
  const float step = reduce_max(top) / kWideQuery + reduce_add(poison);
  for (int d = 0; d < padded; d += kLanes) {
    float codes[kLanes] = {};
    if (d < n && step > 0.0f)
      store(codes, round_nearest((n - d < kLanes ? load_n(from + d, n - d) : load(from + d)) / set1(step)));
    for (int i = 0; i < kLanes; ++i) to[d + i] = static_cast<int16_t>(codes[i]);
  }
  return step;
}

/// Lane by lane sums over the columns of N tokens' codes times H heads' queries, as dot_tokens().
template <int H, int N>
void dot_codes(const Source& from, const int64_t* offsets, const int16_t* q, int64_t q_stride, float* lanes) {
  const int8_t* k[N];
#pragma GCC unroll 16
  for (int i = 0; i < N; ++i) k[i] = row_at<int8_t>(from.k, offsets[i]);
  WordSums sums[H][N];
#pragma GCC unroll 16
  for (int h = 0; h < H; ++h)
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) sums[h][i] = no_word_sums();
  const auto add = [&](int d, auto codes_of) {
    Words keys[N];
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) keys[i] = codes_of(k[i] + d);
#pragma GCC unroll 16
    for (int h = 0; h < H; ++h) {
      const Words query = load_words(q + h * q_stride + d);
#pragma GCC unroll 16
      for (int i = 0; i < N; ++i) sums[h][i] = add_products(sums[h][i], keys[i], query);
    }
  };
  int d = 0;
  for (; d + 2 * kLanes <= from.key_dim; d += 2 * kLanes) add(d, [](const int8_t* codes) { return load_words(codes); });
  const int left = from.key_dim - d;
  if (left > 0) add(d, [left](const int8_t* codes) { return load_words_n(codes, left); });
#pragma GCC unroll 16
  for (int h = 0; h < H; ++h)
#pragma GCC unroll 16
    for (int i = 0; i < N; ++i) store(lanes + (h * kDecodeTile + i) * kLanes, to_f32(sums[h][i]));
}

/// Scores [head, kDecodeTile] of H heads whose rounded queries are `q_stride` codes apart, with a scale each; `steps`
/// are those of the tile's keys, and zeros up to a whole vector.
template <int H>
void score_codes(const Source& from, const Tile& tile, Ahead& ahead, const int16_t* q, int64_t q_stride,
                 const float* scales, const float* steps, float* lanes, float* scores) {
  constexpr int kTokens = kTokensBeside<H>;
  int t = 0;
  for (; t <= tile.tokens - kTokens; t += kTokens) {
    ahead.step();
    dot_codes<H, kTokens>(from, tile.offset + t, q, q_stride, lanes + t * kLanes);
  }
  // What is left, with some that are done: the same sums again cost less than a narrower tile.
  if (t < tile.tokens && tile.tokens >= kTokens) {
    t = tile.tokens - kTokens;
    dot_codes<H, kTokens>(from, tile.offset + t, q, q_stride, lanes + t * kLanes);
    t = tile.tokens;
  }
  for (; t < tile.tokens; ++t) dot_codes<H, 1>(from, tile.offset + t, q, q_stride, lanes + t * kLanes);
  add_lanes<H>(lanes, tile.tokens, scores,
               [=](F32 sums, int h, int first) { return sums * load(steps + first) * set1(scales[h]); });
}

/// The steps of a tile's rows of `width` codes, and zeros up to a whole vector.
inline void gather_steps(const std::byte* base, const Tile& tile, int width, float* steps) {
  int t = 0;
  for (; t < tile.tokens; ++t) steps[t] = step_behind(row_at<int8_t>(base, tile.offset[t]), width);
  for (; t % kLanes != 0; ++t) steps[t] = 0.0f;
}

}  // namespace
}  // namespace vortex::VORTEX_ISA
