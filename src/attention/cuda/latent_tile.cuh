// A block's work on latent pages (576 columns, of which 512 are the value): up to 64 queries over tiles of tokens, each
// read once for both products. S^T = K Q^T is split over warps by tokens and queries, O^T = V^T P^T by columns of
// the value.
#pragma once

#include "attention/cuda/mma.cuh"

namespace vortex::cuda {

constexpr int kLatentDim = 576;
constexpr int kLatentValue = 512;
constexpr int kLatentThreads = 256;

/// kEights tiles of 8 queries, kTokens tokens a tile, kStages of which are in memory or on their way.
template <int kEights, int kTokens, int kStages>
struct LatentTile {
  static constexpr int kChunks = kLatentDim / 8;
  static constexpr int kColumns = 8 * kEights;
  static constexpr int kGroups = kTokens / 16;                  // of warps that score different tokens
  static constexpr int kParts = 8 / kGroups;                    // of queries, scored by different warps
  static constexpr int kOwn = (kEights + kParts - 1) / kParts;  // tiles of queries that a warp scores, at most
  static constexpr int kChains = kOwn == 1 ? 2 : 1;             // of products that do not wait for each other
  static constexpr int kStageBytes = kTokens * kLatentDim * 2;
  static constexpr int kQueryBytes = kColumns * kLatentDim * 2;
  static constexpr int kWeightChunks = (kEights + 1) / 2 * 2;  // of a token: fragments are loaded in pairs
  static constexpr int kWeightBytes = kTokens * kWeightChunks * 16;
  static constexpr int kStatBytes = kGroups * kColumns * 4;
  static constexpr int kSharedBytes = kStages * kStageBytes + kQueryBytes + kWeightBytes + kStatBytes;
  static constexpr int kTall = kLatentValue / 8 / 16;  // tiles of 16 value columns that a warp sums

  const uint32_t stages, queries, weights;
  float* const stats;  // [kGroups, kColumns] of the warps that score the same queries
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int tokens0 = warp % kGroups * 16, eight0 = warp / kGroups * kOwn;  // what this warp scores
  int tile_page = 0, page_row = 0;                                          // of the 8 tokens that this lane looks up

  float sums[kTall][kEights][4];
  float top[kEights][2], total[kOwn][2];

  __device__ explicit LatentTile(unsigned char* memory)
      : stages(shared_address(memory)),
        queries(stages + kStages * kStageBytes),
        weights(queries + kQueryBytes),
        stats(reinterpret_cast<float*>(memory + kStages * kStageBytes + kQueryBytes + kWeightBytes)) {}

  /// Whether this warp has an n-th tile of queries to score: the last warps may have fewer.
  __device__ bool owns(int n) const { return kEights % kParts == 0 || eight0 + n < kEights; }

  __device__ void clear() {
#pragma unroll
    for (int n = 0; n < kEights; ++n) {
      top[n][0] = top[n][1] = -INFINITY;
#pragma unroll
      for (int m = 0; m < kTall; ++m)
        for (int i = 0; i < 4; ++i) sums[m][n][i] = 0.0f;
    }
#pragma unroll
    for (int n = 0; n < kOwn; ++n) total[n][0] = total[n][1] = 0.0f;
  }

  /// `count` queries that lie one after the other; the others are zero.
  __device__ void load_queries(const __nv_bfloat16* q, int count) {
    for (int i = threadIdx.x; i < kColumns * kChunks; i += kLatentThreads) {
      const int column = i / kChunks, chunk = i % kChunks;
      const bool valid = column < count;
      copy_16(queries + swizzled<kChunks>(column, chunk), q + (valid ? column * kLatentDim + chunk * 8 : 0), valid);
    }
  }

  /// Tokens [token, token + kTokens) of those before `end`; page_of(token) is where its page starts.
  template <class PageOf>
  __device__ void look_up(int token, int end, int page_tokens, const PageOf& page_of) {
    tile_page = page_of(min(token + lane % 8 * 8, end - 1));
    page_row = (token + lane % 8 * 8) % page_tokens;
  }

  __device__ void load_tile(int i, int token, int end, const unsigned char* base, int64_t page_bytes) {
    const uint32_t to = stages + i % kStages * kStageBytes;
#pragma unroll
    for (int c = 0; c < kTokens * kChunks / kLatentThreads; ++c) {
      const int at = c * kLatentThreads + static_cast<int>(threadIdx.x), row = at / kChunks, chunk = at % kChunks;
      const int64_t page = __shfl_sync(~0u, tile_page, row / 8);
      const int first = __shfl_sync(~0u, page_row, row / 8);
      copy_16(to + swizzled<kChunks>(row, chunk), base + page * page_bytes + ((first + row % 8) * kChunks + chunk) * 16,
              token + row < end);
    }
  }

  /// Two steps of 16 columns of the dot products.
  __device__ void score_step(uint32_t keys, int k, float (&s)[kChains][kOwn][4]) const {
    uint32_t key[2][4];
    for (int j = 0; j < 2; ++j)
      load_tiles(key[j], keys + swizzled<kChunks>(tokens0 + (lane / 8 & 1) * 8 + lane % 8, 4 * k + 2 * j + lane / 16));
#pragma unroll
    for (int n = 0; n < kOwn; ++n) {
      if (!owns(n)) break;
      uint32_t query[4];
      load_tiles(query, queries + swizzled<kChunks>((eight0 + n) * 8 + lane % 8, 4 * k + lane / 8));
      multiply_add(s[0][n], key[0], query[0], query[1]);
      multiply_add(s[kChains - 1][n], key[1], query[2], query[3]);
    }
  }

  /// Scores times log2 e; -infinity where limit_of(query) tokens end. Their maxima go to `stats`.
  template <class LimitOf>
  __device__ void score(int i, int token, float scale, const LimitOf& limit_of, float (&s)[kOwn][4]) {
    float dots[kChains][kOwn][4] = {};
    const uint32_t keys = stages + i % kStages * kStageBytes;
#pragma unroll 6
    for (int k = 0; k < kLatentDim / 32; ++k) score_step(keys, k, dots);
#pragma unroll
    for (int n = 0; n < kOwn; ++n)
      for (int j = 0; j < 4; ++j) s[n][j] = dots[0][n][j] + (kChains == 2 ? dots[kChains - 1][n][j] : 0.0f);
#pragma unroll
    for (int n = 0; n < kOwn; ++n) {
      if (!owns(n)) break;
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int column = (eight0 + n) * 8 + lane % 4 * 2 + h, limit = limit_of(column);
        const int at = token + tokens0 + lane / 4;
        s[n][h] = at < limit ? s[n][h] * scale : -INFINITY;
        s[n][h + 2] = at + 8 < limit ? s[n][h + 2] * scale : -INFINITY;
        float largest = fmaxf(s[n][h], s[n][h + 2]);
        for (int step = 4; step < 32; step <<= 1) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, step));
        if (lane / 4 == 0) stats[warp % kGroups * kColumns + column] = largest;
      }
    }
  }

  __device__ float2 stat(int group, int n) const {
    return *reinterpret_cast<const float2*>(stats + group * kColumns + n * 8 + lane % 4 * 2);
  }

  /// Moves the sums of all queries to the new maxima.
  __device__ void rescale() {
#pragma unroll
    for (int n = 0; n < kEights; ++n) {
      float largest[2] = {top[n][0], top[n][1]}, decay[2];
#pragma unroll
      for (int group = 0; group < kGroups; ++group) {
        const float2 other = stat(group, n);
        largest[0] = fmaxf(largest[0], other.x);
        largest[1] = fmaxf(largest[1], other.y);
      }
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        decay[h] = exp2_fast(top[n][h] - largest[h]);
        top[n][h] = largest[h];
      }
      if (n / kOwn == warp / kGroups)
        for (int h = 0; h < 2; ++h) total[n % kOwn][h] *= decay[h];
      if (!__any_sync(~0u, decay[0] != 1.0f || decay[1] != 1.0f)) continue;
#pragma unroll
      for (int m = 0; m < kTall; ++m)
        for (int i = 0; i < 4; ++i) sums[m][n][i] *= decay[i % 2];
    }
  }

  /// The weights of this warp's scores, for all warps to read.
  __device__ void weigh(float (&s)[kOwn][4]) {
#pragma unroll
    for (int n = 0; n < kOwn; ++n) {
      if (!owns(n)) break;
      float largest[2] = {top[n][0], top[n][1]};
#pragma unroll
      for (int part = 1; part < kParts && n + part * kOwn < kEights; ++part) {
        for (int h = 0; h < 2; ++h) largest[h] = warp / kGroups == part ? top[n + part * kOwn][h] : largest[h];
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        s[n][i] = exp2_fast(s[n][i] - largest[i % 2]);
        total[n][i % 2] += s[n][i];
      }
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const uint32_t at = weights + swizzled<kWeightChunks>(tokens0 + h * 8 + lane / 4, eight0 + n) + lane % 4 * 4;
        store_shared(at, pack(s[n][2 * h], s[n][2 * h + 1]));
      }
    }
  }

  __device__ void add_values(int i) {
    const uint32_t values = stages + i % kStages * kStageBytes;
#pragma unroll
    for (int k = 0; k < kTokens / 16; ++k) {
      uint32_t weight[kWeightChunks / 2][4];
#pragma unroll
      for (int n = 0; n < kWeightChunks / 2; ++n)
        load_transposed(weight[n],
                        weights + swizzled<kWeightChunks>(k * 16 + (lane / 8 & 1) * 8 + lane % 8, 2 * n + lane / 16));
#pragma unroll
      for (int m = 0; m < kTall; ++m) {
        uint32_t value[4];
        load_transposed(value, values + swizzled<kChunks>(k * 16 + lane / 16 * 8 + lane % 8,
                                                          (warp * kTall + m) * 2 + (lane / 8 & 1)));
#pragma unroll
        for (int n = 0; n < kEights; ++n)
          multiply_add(sums[m][n], value, weight[n / 2][n % 2 * 2], weight[n / 2][n % 2 * 2 + 1]);
      }
    }
  }

  /// Tokens [begin, end); the queries are loaded or under way.
  template <class PageOf, class LimitOf>
  __device__ void run(int begin, int end, int page_tokens, const unsigned char* base, int64_t page_bytes, float scale,
                      const PageOf& page_of, const LimitOf& limit_of) {
    const int tiles = (end - begin + kTokens - 1) / kTokens;
    const auto find = [&](int i) {
      if (i < tiles) look_up(begin + i * kTokens, end, page_tokens, page_of);
    };
    const auto load = [&](int i) {
      if (i < tiles) load_tile(i, begin + i * kTokens, end, base, page_bytes);
      commit_copies();
    };
    for (int i = 0; i < kStages - 1; ++i) {
      find(i);
      load(i);
    }
    find(kStages - 1);
    for (int i = 0; i < tiles; ++i) {
      const int token = begin + i * kTokens;
      wait_copies<kStages - 2>();
      __syncthreads();
      load(i + kStages - 1);
      find(i + kStages);
      float s[kOwn][4];
      score(i, token, scale, limit_of, s);
      __syncthreads();
      rescale();
      weigh(s);
      __syncthreads();
      add_values(i);
    }
    wait_copies<0>();
    share_totals();
  }

  /// The sums of weights, parts of which several warps have, go to `stats`.
  __device__ void share_totals() {
    __syncthreads();
#pragma unroll
    for (int n = 0; n < kOwn; ++n) {
      if (!owns(n)) break;
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        for (int step = 4; step < 32; step <<= 1) total[n][h] += __shfl_xor_sync(~0u, total[n][h], step);
        if (lane / 4 == 0) stats[warp % kGroups * kColumns + (eight0 + n) * 8 + lane % 4 * 2 + h] = total[n][h];
      }
    }
    __syncthreads();
  }

  /// write(query, its largest score, its sum of weights, value column, its sum) for all that this thread has.
  template <class Write>
  __device__ void each_sum(const Write& write) {
#pragma unroll
    for (int n = 0; n < kEights; ++n) {
      float2 all = {0.0f, 0.0f};
      for (int group = 0; group < kGroups; ++group) {
        all.x += stat(group, n).x;
        all.y += stat(group, n).y;
      }
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int column = n * 8 + lane % 4 * 2 + h;
#pragma unroll
        for (int m = 0; m < kTall; ++m) {
          const int d = (warp * kTall + m) * 16 + lane / 4;
          write(column, top[n][h], h == 0 ? all.x : all.y, d, sums[m][n][h]);
          write(column, top[n][h], h == 0 ? all.x : all.y, d + 8, sums[m][n][h + 2]);
        }
      }
    }
  }
};

}  // namespace vortex::cuda
