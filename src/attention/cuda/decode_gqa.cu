// Grouped-query decode: every warp streams its own tiles of 16 tokens through shared memory and multiplies
// S^T = K Q^T and O^T = V^T P^T, so that the tokens fill the tall side of the tensor cores and the few heads of a group
// the short one.
#include "attention/cuda/decode_element.cuh"
#include "attention/cuda/merge.cuh"
#include "device/cuda/launch.cuh"

namespace vortex::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * 32;
constexpr int kTile = 16;  // tokens

/// kDim of a head, kEights tiles of 8 query heads, kStages tiles under way in each warp.
template <class Element, int kDim, int kEights, int kStages>
struct Decoder {
  static constexpr int kChunks = kDim / 8;
  static constexpr int kFieldBytes = kTile * kDim * 2;
  static constexpr bool kNarrow = Element::kBytes == 1;
  static constexpr int kStoredChunks = kDim * Element::kBytes / 16;  // of a row in the cache
  static constexpr int kStoredBytes = kTile * kStoredChunks * 16;
  static constexpr int kStageBytes = 2 * kStoredBytes;
  static constexpr int kWarpBytes = kStages * kStageBytes + (kNarrow ? 2 * kFieldBytes : 0);
  static constexpr int kSharedBytes = kWarps * kWarpBytes;
  static constexpr int kSteps = kDim / 16;
  static constexpr int kHeads = 8 * kEights;

  const DecodeArguments& a;
  Piece p;
  uint32_t shared;  // of this warp
  int lane, warp;
  const int32_t* list;
  int first_tile, tiles;  // of the piece; this warp's are warp, warp + kWarps, ...
  int skip;

  uint32_t q[kEights][kSteps][2];
  float sums[kEights][kSteps][4];  // O^T: [dims, heads]
  float top[kEights][2], total[kEights][2];

  __device__ Decoder(const DecodeArguments& arguments, unsigned char* memory)
      : a(arguments),
        shared(shared_address(memory) + threadIdx.x / 32 * kWarpBytes),
        lane(threadIdx.x % 32),
        warp(threadIdx.x / 32) {}

  __device__ void start(const Piece& piece) {
    p = piece;
    list = a.list.pages + int64_t{p.row} * a.list.stride;
    skip = a.skip != nullptr ? a.skip[p.sequence] : 0;
    first_tile = max(p.begin, skip / kTile * kTile);
    tiles = p.end > first_tile ? (p.end - first_tile + kTile - 1) / kTile : 0;
    load_query();
    for (int n = 0; n < kEights; ++n) {
      top[n][0] = top[n][1] = -INFINITY;
      total[n][0] = total[n][1] = 0.0f;
      for (int m = 0; m < kSteps; ++m)
        for (int i = 0; i < 4; ++i) sums[n][m][i] = 0.0f;
    }
  }

  __device__ void load_query() {
    for (int n = 0; n < kEights; ++n) {
      const int head = 8 * n + lane / 4;
      const auto* row = a.q + (int64_t{p.row} * a.layer.group + head) * kDim + lane % 4 * 2;
      for (int k = 0; k < kSteps; ++k) {
        q[n][k][0] = head < a.layer.group ? Element::query(*reinterpret_cast<const uint32_t*>(row + 16 * k)) : 0;
        q[n][k][1] = head < a.layer.group ? Element::query(*reinterpret_cast<const uint32_t*>(row + 16 * k + 8)) : 0;
      }
    }
  }

  __device__ int tile_token(int i) const { return first_tile + (warp + i * kWarps) * kTile; }
  __device__ int own_tiles() const { return tiles > warp ? (tiles - warp + kWarps - 1) / kWarps : 0; }

  /// The pages of a tile's two halves: one page, or two of 8 tokens.
  __device__ int2 tile_pages(int i) const {
    const int last = p.first + p.pages - 1, token = tile_token(i);
    return {list[min(token / a.step.page_tokens, last)], list[min((token + 8) / a.step.page_tokens, last)]};
  }

  __device__ void load_tile(int i, int2 pages) {
    const int token = tile_token(i);
    const int low_row = token % a.step.page_tokens, high_row = (token + 8) % a.step.page_tokens;
    const int64_t low_k = pages.x * a.layer.k.page_bytes, high_k = pages.y * a.layer.k.page_bytes;
    const int64_t low_v = pages.x * a.layer.v.page_bytes, high_v = pages.y * a.layer.v.page_bytes;
    const uint32_t to = shared + i % kStages * kStageBytes;
#pragma unroll
    for (int c = 0; c < kTile * kStoredChunks / 32; ++c) {
      const int row = (c * 32 + lane) / kStoredChunks, chunk = (c * 32 + lane) % kStoredChunks;
      const bool high = kStoredChunks % 4 == 0 ? c >= kStoredChunks / 4 : row >= 8;
      const int64_t in_page = (((high ? high_row : low_row) + row % 8) * kStoredChunks + chunk) * 16;
      const bool valid = token + row < p.end;
      const uint32_t at = to + (kNarrow ? (c * 32 + lane) * 16 : swizzled<kChunks>(row, chunk));
      copy_16(at, a.layer.k.base + (high ? high_k : low_k) + in_page, valid);
      copy_16(at + kStoredBytes, a.layer.v.base + (high ? high_v : low_v) + in_page, valid);
    }
  }

  /// Both fields of a stage as float16, where the tensor cores can take them.
  __device__ void widen_tile(uint32_t from) {
    __syncwarp();
#pragma unroll
    for (int c = 0; c < 2 * kTile * kStoredChunks / 32; ++c) {
      const int at = c * 32 + lane, row = at / kStoredChunks, chunk = at % kStoredChunks;
      uint32_t codes[4];
      load_shared(codes, from + at * 16);
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const uint2 low = widen(codes[2 * half]), high = widen(codes[2 * half + 1]);
        const uint32_t to = shared + kStages * kStageBytes + row / kTile * kFieldBytes +
                            swizzled<kChunks>(row % kTile, 2 * chunk + half);
        store_shared(to, {low.x, low.y, high.x, high.y});
      }
    }
    __syncwarp();
  }

  /// S^T of a tile, scaled by log2 e, what the row does not see at -infinity.
  __device__ void scores(uint32_t keys, int token, float (&s)[kEights][4]) const {
    for (int n = 0; n < kEights; ++n)
      for (int i = 0; i < 4; ++i) s[n][i] = 0.0f;
    const int row = (lane / 8 & 1) * 8 + lane % 8;
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      uint32_t fragment[4];
      load_tiles(fragment, keys + swizzled<kChunks>(row, 2 * k + lane / 16));
      for (int n = 0; n < kEights; ++n) Element::multiply(s[n], fragment, q[n][k][0], q[n][k][1]);
    }
    const float scale = a.layer.scale * kLog2E;
    for (int i = 0; i < 4; ++i) {
      const int at = token + lane / 4 + i / 2 * 8;
      const bool seen = at < p.end && at >= skip;
      for (int n = 0; n < kEights; ++n) s[n][i] = seen ? s[n][i] * scale : -INFINITY;
    }
  }

  /// Moves the sums to the new largest score and returns P^T as the second operand of a product.
  __device__ void weigh(float (&s)[4], int n, uint32_t (&weights)[2]) {
    float largest[2] = {fmaxf(s[0], s[2]), fmaxf(s[1], s[3])};
    for (int step = 4; step < 32; step <<= 1)
      for (int h = 0; h < 2; ++h) largest[h] = fmaxf(largest[h], __shfl_xor_sync(~0u, largest[h], step));
    float decay[2];
    for (int h = 0; h < 2; ++h) {
      largest[h] = fmaxf(largest[h], top[n][h]);
      decay[h] = exp2_fast(top[n][h] - largest[h]);
      top[n][h] = largest[h];
    }
    for (int i = 0; i < 4; ++i) s[i] = exp2_fast(s[i] - largest[i % 2]);
    for (int h = 0; h < 2; ++h) total[n][h] = total[n][h] * decay[h] + s[h] + s[h + 2];
    for (int m = 0; m < kSteps; ++m)
      for (int i = 0; i < 4; ++i) sums[n][m][i] *= decay[i % 2];
    weights[0] = transpose_8x8(Element::pair(s[0], s[1]));
    weights[1] = transpose_8x8(Element::pair(s[2], s[3]));
  }

  __device__ void attend_tile(int i) {
    const uint32_t stage = shared + i % kStages * kStageBytes;
    if constexpr (kNarrow) widen_tile(stage);
    const uint32_t keys = kNarrow ? shared + kStages * kStageBytes : stage, values = keys + kFieldBytes;
    float s[kEights][4];
    scores(keys, tile_token(i), s);
    uint32_t weights[kEights][2];
    for (int n = 0; n < kEights; ++n) weigh(s[n], n, weights[n]);
    const int row = lane / 16 * 8 + lane % 8;
#pragma unroll
    for (int m = 0; m < kSteps; ++m) {
      uint32_t fragment[4];
      load_transposed(fragment, values + swizzled<kChunks>(row, 2 * m + (lane / 8 & 1)));
      for (int n = 0; n < kEights; ++n) Element::multiply(sums[n][m], fragment, weights[n][0], weights[n][1]);
    }
  }

  __device__ void run() {
    const int count = own_tiles();
    for (int i = 0; i < kStages - 1; ++i) {
      if (i < count) load_tile(i, tile_pages(i));
      commit_copies();
    }
    int2 pages = kStages - 1 < count ? tile_pages(kStages - 1) : int2{};
    for (int i = 0; i < count; ++i) {
      wait_copies<kStages - 2>();
      __syncwarp();
      const int ahead = i + kStages - 1;
      if (ahead < count) load_tile(ahead, pages);
      commit_copies();
      if (ahead + 1 < count) pages = tile_pages(ahead + 1);
      attend_tile(i);
    }
    wait_copies<0>();
    for (int n = 0; n < kEights; ++n)
      for (int step = 4; step < 32; step <<= 1)
        for (int h = 0; h < 2; ++h) total[n][h] += __shfl_xor_sync(~0u, total[n][h], step);
  }

  /// Leaves this warp's sums in its part of shared memory as [heads, dims], and its two statistics of each head.
  __device__ void leave(unsigned char* memory, float2 (*stats)[kHeads]) {
    auto* out = reinterpret_cast<float*>(memory + warp * kWarpBytes);
    for (int n = 0; n < kEights; ++n) {
      for (int h = 0; h < 2; ++h) {
        const int head = 8 * n + lane % 4 * 2 + h;
        if (lane / 4 == 0) stats[warp][head] = {top[n][h], total[n][h]};
        for (int m = 0; m < kSteps; ++m) {
          out[head * kDim + 16 * m + lane / 4] = sums[n][m][h];
          out[head * kDim + 16 * m + lane / 4 + 8] = sums[n][m][h + 2];
        }
      }
    }
  }
};

/// The block's sums from those of its warps: the row's output, or a part of it.
template <class D, int kDim>
__device__ void write_piece(const DecodeArguments& a, const Piece& p, const unsigned char* memory,
                            const float2 (*stats)[D::kHeads]) {
  for (int i = threadIdx.x; i < a.layer.group * kDim; i += kThreads) {
    const int head = i / kDim, d = i % kDim;
    Sum<1> sum;
    for (int w = 0; w < kWarps; ++w)
      sum.add(stats[w][head].x, stats[w][head].y,
              {reinterpret_cast<const float*>(memory + w * D::kWarpBytes)[head * kDim + d]});
    if (p.pieces == 1) {
      sum.add_sink(a.layer.sinks, p.head * a.layer.group + head);
      a.out[(int64_t{p.row} * a.layer.group + head) * kDim + d] = __float2bfloat16(sum.values[0] / sum.total);
      continue;
    }
    const int64_t at = int64_t{p.index} * a.layer.group + head;
    __stcg(a.partials.out + at * kDim + d, sum.values[0]);
    if (d == 0) __stcg(a.partials.stats + at, make_float2(sum.top, sum.total));
  }
}

template <class Element, int kDim, int kEights, int kStages>
__global__ void __launch_bounds__(kThreads, 2) gqa_decode_kernel(DecodeArguments a) {
  using D = Decoder<Element, kDim, kEights, kStages>;
  auto* const memory = dynamic_shared<unsigned char>();
  __shared__ float2 stats[kWarps][D::kHeads];
  __shared__ int word;
  const int total = *a.work.total;
  D decoder(a, memory);
  for (int i = blockIdx.x; i < total; i = next_item(a, total, &word)) {
    const Piece p = read_piece(a, i);
    decoder.start(p);
    decoder.run();
    decoder.leave(memory, stats);
    __syncthreads();
    write_piece<D, kDim>(a, p, memory, stats);
    if (p.pieces > 1 && arrive(a.partials.arrived + p.row, p.pieces, &word)) merge_pieces(a, p, 0, a.layer.group);
  }
  leave_queue(a, total);
}

template <class Element, int kDim, int kEights, int kStages>
void launch(const DecodeArguments& a, int slots, cudaStream_t stream) {
  constexpr int kBytes = Decoder<Element, kDim, kEights, kStages>::kSharedBytes;
  launch_kernel("gqa_decode_kernel", gqa_decode_kernel<Element, kDim, kEights, kStages>,
                {slots, kThreads, stream, kBytes}, a);
}

template <int kDim, int kStages>
void launch_group(const DecodeArguments& a, int slots, cudaStream_t stream) {
  if (a.layer.group <= 8) return launch<WideElement, kDim, 1, kStages>(a, slots, stream);
  launch<WideElement, kDim, 2, kStages>(a, slots, stream);
}

template <int kDim, int kStages>
void launch_narrow(const DecodeArguments& a, int slots, cudaStream_t stream) {
  if (a.layer.group <= 8) return launch<NarrowElement, kDim, 1, kStages>(a, slots, stream);
  launch<NarrowElement, kDim, 2, kStages>(a, slots, stream);
}

bool decode_narrow(const DecodeArguments& a, int slots, cudaStream_t stream) {
  switch (a.layer.head_dim) {
    case 64:
      launch_narrow<64, 4>(a, slots, stream);
      return true;
    case 128:
      launch_narrow<128, 4>(a, slots, stream);
      return true;
    default:
      return false;
  }
}

}  // namespace

bool decode_gqa(const DecodeArguments& a, int slots, cudaStream_t stream) {
  if (a.layer.latent || a.layer.group > 16 || a.step.page_tokens % 8 != 0) return false;
  if (a.layer.kv_dtype == DType::kF8E4M3) return decode_narrow(a, slots, stream);
  switch (a.layer.head_dim) {
    case 16:
      launch_group<16, 4>(a, slots, stream);
      return true;
    case 32:
      launch_group<32, 4>(a, slots, stream);
      return true;
    case 64:
      launch_group<64, 4>(a, slots, stream);
      return true;
    case 96:
      launch_group<96, 4>(a, slots, stream);
      return true;
    case 128:
      launch_group<128, 3>(a, slots, stream);
      return true;
    case 256:
      launch_group<256, 2>(a, slots, stream);
      return true;
    default:
      return false;
  }
}

}  // namespace vortex::cuda
