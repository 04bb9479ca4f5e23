// Grouped-query prefill: a block takes kRows pairs of (token, query head of the group) of one kv head and streams keys
// and values through shared memory, so that what a group shares is read once. Sums and weights stay in registers.
#include "attention/cuda/decode_arguments.h"
#include "attention/cuda/mma.cuh"
#include "device/cuda/launch.cuh"

namespace vortex::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * 32;
constexpr int kTile = 64;  // tokens

struct Arguments {
  AttentionLayer layer;
  StepView step;
  const PrefillSlice* slices;
  const __nv_bfloat16* q;
  __nv_bfloat16* out;
};

/// kTall tiles of 16 rows a warp.
template <int kDim, int kTall>
struct Prefill {
  static constexpr int kChunks = kDim / 8;
  static constexpr int kSteps = kDim / 16;
  static constexpr int kWarpRows = 16 * kTall;
  static constexpr int kRows = kWarps * kWarpRows;
  static constexpr int kQueryBytes = kRows * kDim * 2;
  static constexpr int kFieldBytes = kTile * kDim * 2;
  static constexpr int kSharedBytes = kQueryBytes + 4 * kFieldBytes;

  const Arguments& a;
  const PrefillSlice slice;
  const uint32_t shared;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int group, head, heads;
  const int row0;                   // of the block, among the slice's pairs
  int seen_first, seen_last;        // positions of the block's first and last token
  int begin, end;                   // tokens that any row sees
  int tile_page = 0, page_row = 0;  // of the 8 tokens that this lane looks up

  float sums[kTall][kDim / 8][4];
  float top[kTall][2], total[kTall][2];

  __device__ Prefill(const Arguments& arguments, const PrefillSlice& s, int row, unsigned char* memory)
      : a(arguments),
        slice(s),
        shared(shared_address(memory)),
        group(arguments.layer.group),
        head(static_cast<int>(blockIdx.y)),
        heads(arguments.step.kv_heads * arguments.layer.group),
        row0(row) {
    seen_first = slice.first + row0 / group;
    seen_last = slice.first + min(slice.count - 1, (row0 + kRows - 1) / group);
    end = seen_last + 1;
    begin = a.layer.window > 0 ? max(0, seen_first + 1 - a.layer.window) / kTile * kTile : 0;
#pragma unroll
    for (int t = 0; t < kTall; ++t) {
      top[t][0] = top[t][1] = -INFINITY;
      total[t][0] = total[t][1] = 0.0f;
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) sums[t][n][i] = 0.0f;
    }
  }

  /// Elements of row `row` of the block in q and out, both of `width` columns; -1 beyond the slice.
  __device__ int64_t row_at(int row, int width) const {
    const int token = (row0 + row) / group, member = (row0 + row) % group;
    if (token >= slice.count) return -1;
    return (int64_t{slice.token + token} * heads + head * group + member) * width;
  }

  __device__ void load_query() {
#pragma unroll
    for (int c = 0; c < kRows * kChunks / kThreads; ++c) {
      const int i = c * kThreads + static_cast<int>(threadIdx.x), row = i / kChunks, chunk = i % kChunks;
      const int64_t at = row_at(row, kDim);
      copy_16(shared + swizzled<kChunks>(row, chunk), a.q + (at < 0 ? 0 : at + chunk * 8), at >= 0);
    }
  }

  /// Lane l looks up the page of tokens 8 (l % 8) and on of the tile.
  __device__ void look_up(int token) {
    const int at = min(token + lane % 8 * 8, end - 1);
    tile_page = a.step.page_id(slice.sequence, at / a.step.page_tokens, head);
    page_row = (token + lane % 8 * 8) % a.step.page_tokens;
  }

  __device__ uint32_t stage(int i) const { return shared + kQueryBytes + i % 2 * 2 * kFieldBytes; }

  __device__ void load_tile(int i) {
    const int token = begin + i * kTile;
    const uint32_t to = stage(i);
#pragma unroll
    for (int c = 0; c < kTile * kChunks / kThreads; ++c) {
      const int at = c * kThreads + static_cast<int>(threadIdx.x), row = at / kChunks, chunk = at % kChunks;
      const int64_t page = __shfl_sync(~0u, tile_page, row / 8);
      const int first = __shfl_sync(~0u, page_row, row / 8);
      const int in_page = ((first + row % 8) * kChunks + chunk) * 16;
      const bool valid = token + row < end;
      const uint32_t place = to + swizzled<kChunks>(row, chunk);
      copy_16(place, a.layer.k.base + page * a.layer.k.page_bytes + in_page, valid);
      copy_16(place + kFieldBytes, a.layer.v.base + page * a.layer.v.page_bytes + in_page, valid);
    }
  }

  __device__ void scores(uint32_t keys, float (&s)[kTall][kTile / 8][4]) const {
#pragma unroll
    for (int t = 0; t < kTall; ++t)
      for (int n = 0; n < kTile / 8; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i) s[t][n][i] = 0.0f;
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      uint32_t query[kTall][4];
#pragma unroll
      for (int t = 0; t < kTall; ++t) {
        const int row = warp * kWarpRows + t * 16 + (lane / 8 & 1) * 8 + lane % 8;
        load_tiles(query[t], shared + swizzled<kChunks>(row, 2 * k + lane / 16));
      }
#pragma unroll
      for (int n = 0; n < kTile / 16; ++n) {
        uint32_t key[4];
        load_tiles(key, keys + swizzled<kChunks>(n * 16 + lane / 16 * 8 + lane % 8, 2 * k + (lane / 8 & 1)));
#pragma unroll
        for (int t = 0; t < kTall; ++t) {
          multiply_add(s[t][2 * n], query[t], key[0], key[1]);
          multiply_add(s[t][2 * n + 1], query[t], key[2], key[3]);
        }
      }
    }
  }

  /// Takes out what rows do not see. Rows that are too many see what the last token does.
  __device__ void mask(int token, float (&s)[kTall][kTile / 8][4]) const {
#pragma unroll
    for (int t = 0; t < kTall; ++t) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        const int row = warp * kWarpRows + t * 16 + h * 8 + lane / 4;
        const int position = min(slice.first + (row0 + row) / group, seen_last);
        const int oldest = a.layer.window > 0 ? position + 1 - a.layer.window : 0;
#pragma unroll
        for (int n = 0; n < kTile / 8; ++n) {
#pragma unroll
          for (int i = 0; i < 2; ++i) {
            const int at = token + n * 8 + lane % 4 * 2 + i;
            if (at > position || at < oldest) s[t][n][2 * h + i] = -INFINITY;
          }
        }
      }
    }
  }

  /// Turns scores into weights, relative to the largest so far.
  __device__ void weigh(float (&s)[kTile / 8][4], int t) {
    const float scale = a.layer.scale * kLog2E;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float largest = -INFINITY;
#pragma unroll
      for (int n = 0; n < kTile / 8; ++n) largest = fmaxf(largest, fmaxf(s[n][2 * h], s[n][2 * h + 1]));
      for (int step = 1; step < 4; step <<= 1) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, step));
      largest = fmaxf(top[t][h], largest * scale);
      const float origin = largest == -INFINITY ? 0.0f : largest;
      const float decay = exp2_fast(top[t][h] - origin);
      top[t][h] = largest;
      total[t][h] *= decay;
#pragma unroll
      for (int n = 0; n < kTile / 8; ++n) {
#pragma unroll
        for (int i = 2 * h; i < 2 * h + 2; ++i) {
          s[n][i] = exp2_fast(s[n][i] * scale - origin);
          total[t][h] += s[n][i];
        }
      }
#pragma unroll
      for (int n = 0; n < kDim / 8; ++n) {
        sums[t][n][2 * h] *= decay;
        sums[t][n][2 * h + 1] *= decay;
      }
    }
  }

  __device__ void add_values(uint32_t values, const float (&s)[kTall][kTile / 8][4]) {
#pragma unroll
    for (int k = 0; k < kTile / 16; ++k) {
      uint32_t weights[kTall][4];
#pragma unroll
      for (int t = 0; t < kTall; ++t) {
        weights[t][0] = pack(s[t][2 * k][0], s[t][2 * k][1]);
        weights[t][1] = pack(s[t][2 * k][2], s[t][2 * k][3]);
        weights[t][2] = pack(s[t][2 * k + 1][0], s[t][2 * k + 1][1]);
        weights[t][3] = pack(s[t][2 * k + 1][2], s[t][2 * k + 1][3]);
      }
#pragma unroll
      for (int n = 0; n < kSteps; ++n) {
        uint32_t value[4];
        load_transposed(value, values + swizzled<kChunks>(k * 16 + (lane / 8 & 1) * 8 + lane % 8, 2 * n + lane / 16));
#pragma unroll
        for (int t = 0; t < kTall; ++t) {
          multiply_add(sums[t][2 * n], weights[t], value[0], value[1]);
          multiply_add(sums[t][2 * n + 1], weights[t], value[2], value[3]);
        }
      }
    }
  }

  __device__ void run() {
    const int tiles = (end - begin + kTile - 1) / kTile;
    look_up(begin);
    load_query();
    load_tile(0);
    commit_copies();
    if (tiles > 1) look_up(begin + kTile);
    for (int i = 0; i < tiles; ++i) {
      const int token = begin + i * kTile;
      wait_copies<0>();
      __syncthreads();
      if (i + 1 < tiles) load_tile(i + 1);
      commit_copies();
      if (i + 2 < tiles) look_up(token + 2 * kTile);
      float s[kTall][kTile / 8][4];
      scores(stage(i), s);
      if (token + kTile > seen_first + 1 || a.layer.window > 0) mask(token, s);
#pragma unroll
      for (int t = 0; t < kTall; ++t) weigh(s[t], t);
      add_values(stage(i) + kFieldBytes, s);
    }
  }

  __device__ void write() {
#pragma unroll
    for (int t = 0; t < kTall; ++t) {
#pragma unroll
      for (int h = 0; h < 2; ++h) {
        for (int step = 1; step < 4; step <<= 1) total[t][h] += __shfl_xor_sync(~0u, total[t][h], step);
        const int row = warp * kWarpRows + t * 16 + h * 8 + lane / 4;
        const int64_t at = row_at(row, kDim);
        if (at < 0) continue;
        float factor = 1.0f / total[t][h];
        if (a.layer.sinks != nullptr) {
          const float sink = a.layer.sinks[head * group + (row0 + row) % group] * kLog2E;
          const float largest = fmaxf(top[t][h], sink), mine = exp2_fast(top[t][h] - largest);
          factor = mine / (total[t][h] * mine + exp2_fast(sink - largest));
        }
#pragma unroll
        for (int n = 0; n < kDim / 8; ++n)
          *reinterpret_cast<uint32_t*>(a.out + at + n * 8 + lane % 4 * 2) =
              pack(sums[t][n][2 * h] * factor, sums[t][n][2 * h + 1] * factor);
      }
    }
  }
};

template <int kDim, int kTall>
__global__ void __launch_bounds__(kThreads) gqa_prefill_kernel(Arguments a) {
  using P = Prefill<kDim, kTall>;
  auto* const memory = dynamic_shared<unsigned char>();
  const PrefillSlice slice = a.slices[blockIdx.z];
  // Late tokens see most: they start first.
  const int row0 = static_cast<int>(gridDim.x - 1 - blockIdx.x) * P::kRows;
  if (row0 >= slice.count * a.layer.group) return;
  P work(a, slice, row0, memory);
  work.run();
  work.write();
}

template <int kDim, int kTall>
void launch(const Arguments& a, int count, int32_t most_tokens, cudaStream_t stream) {
  using P = Prefill<kDim, kTall>;
  const dim3 grid(static_cast<unsigned>((most_tokens * a.layer.group + P::kRows - 1) / P::kRows),
                  static_cast<unsigned>(a.step.kv_heads), static_cast<unsigned>(count));
  launch_kernel("gqa_prefill_kernel", gqa_prefill_kernel<kDim, kTall>, {grid, kThreads, stream, P::kSharedBytes}, a);
}

}  // namespace

bool prefill_gqa(const AttentionLayer& layer, const StepView& step, const PrefillSlice* slices, int count,
                 int32_t most_tokens, const __nv_bfloat16* q, __nv_bfloat16* out, cudaStream_t stream) {
  if (layer.latent || layer.kv_dtype != DType::kBF16 || step.page_tokens % 8 != 0) return false;
  const Arguments a{layer, step, slices, q, out};
  switch (layer.head_dim) {
    case 16:
      launch<16, 2>(a, count, most_tokens, stream);
      return true;
    case 32:
      launch<32, 2>(a, count, most_tokens, stream);
      return true;
    case 64:
      launch<64, 2>(a, count, most_tokens, stream);
      return true;
    case 96:
      launch<96, 2>(a, count, most_tokens, stream);
      return true;
    case 128:
      launch<128, 2>(a, count, most_tokens, stream);
      return true;
    case 256:
      launch<256, 1>(a, count, most_tokens, stream);
      return true;
    default:
      return false;
  }
}

}  // namespace vortex::cuda
