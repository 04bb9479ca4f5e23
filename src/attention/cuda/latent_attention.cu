// Attention over latent pages with an absorbed query: decode, where a block's queries are heads of one row, and
// prefill, where they are (token, head) pairs that follow each other.
#include <algorithm>

#include "attention/cuda/latent_tile.cuh"
#include "attention/cuda/merge.cuh"
#include "device/cuda/launch.cuh"

namespace vortex::cuda {
namespace {

constexpr int kMostHeads = 64;  // of a block

// Long rows take large tiles, which wait for each other less often; short ones small tiles, more of them under way.
template <int kEights>
using LongRows = LatentTile<kEights, 64, 2>;
template <int kEights>
using ShortRows = LatentTile<kEights, 32, 5>;
template <int kEights>
using LittleMemory = LatentTile<kEights, 32, 3>;  // where a block has less of the shared one
using ManyQueries = LatentTile<8, 64, 2>;

template <class Tile>
__device__ void write_piece(Tile& tile, const DecodeArguments& a, const Piece& p, int first, int count) {
  tile.each_sum([&](int column, float top, float total, int d, float value) {
    if (column >= count) return;
    const int head = first + column;
    if (p.pieces == 1) {
      Sum<1> sum{top, total, {value}};
      sum.add_sink(a.layer.sinks, p.head * a.layer.group + head);
      a.out[(int64_t{p.row} * a.layer.group + head) * kLatentValue + d] = __float2bfloat16(sum.values[0] / sum.total);
      return;
    }
    const int64_t at = int64_t{p.index} * a.layer.group + head;
    __stcg(a.partials.out + at * kLatentValue + d, value);
    if (d == 0) __stcg(a.partials.stats + at, make_float2(top, total));
  });
}

/// Items are (piece, block of heads) pairs, so that the blocks that read the same pages do so together.
template <class Tile>
__global__ void __launch_bounds__(kLatentThreads, 1) latent_decode_kernel(DecodeArguments a, int blocks) {
  auto* const memory = dynamic_shared<unsigned char>();
  __shared__ int word;
  const int items = *a.work.total * blocks;
  Tile tile(memory);
  for (int item = blockIdx.x; item < items; item = next_item(a, items, &word)) {
    const Piece p = read_piece(a, item / blocks);
    const int block = item % blocks, first = block * kMostHeads, count = min(kMostHeads, a.layer.group - first);
    const int32_t* list = a.list.pages + int64_t{p.row} * a.list.stride;
    tile.clear();
    tile.load_queries(a.q + (int64_t{p.row} * a.layer.group + first) * kLatentDim, count);
    tile.run(
        p.begin, p.pages > 0 ? p.end : p.begin, a.step.page_tokens, a.layer.k.base, a.layer.k.page_bytes,
        a.layer.scale * kLog2E, [&](int token) { return list[token / a.step.page_tokens]; },
        [&](int) { return p.end; });
    write_piece(tile, a, p, first, count);
    if (p.pieces > 1 && arrive(a.partials.arrived + p.row * blocks + block, p.pieces, &word))
      merge_pieces(a, p, first, first + count);
  }
  leave_queue(a, items);
}

struct PrefillArguments {
  AttentionLayer layer;
  StepView step;
  const PrefillSlice* slices;
  const __nv_bfloat16* q;
  __nv_bfloat16* out;
};

template <class Tile>
__global__ void __launch_bounds__(kLatentThreads, 1) latent_prefill_kernel(PrefillArguments a) {
  auto* const memory = dynamic_shared<unsigned char>();
  const PrefillSlice slice = a.slices[blockIdx.y];
  const int group = a.layer.group, pairs = slice.count * group;
  // Late tokens see most: they start first.
  const int first = static_cast<int>(gridDim.x - 1 - blockIdx.x) * Tile::kColumns;
  if (first >= pairs) return;
  const int count = min(Tile::kColumns, pairs - first);
  const int end = slice.first + (first + count - 1) / group + 1;
  const int64_t at = int64_t{slice.token} * group + first;
  Tile tile(memory);
  tile.clear();
  tile.load_queries(a.q + at * kLatentDim, count);
  tile.run(
      0, end, a.step.page_tokens, a.layer.k.base, a.layer.k.page_bytes, a.layer.scale * kLog2E,
      [&](int token) { return a.step.page_id(slice.sequence, token / a.step.page_tokens, 0); },
      [&](int column) { return min(end, slice.first + (first + column) / group + 1); });
  tile.each_sum([&](int column, float, float total, int d, float value) {
    if (column < count) a.out[(at + column) * kLatentValue + d] = __float2bfloat16(value / total);
  });
}

bool takes(const AttentionLayer& layer, const StepView& step) {
  return layer.latent && layer.kv_dtype == DType::kBF16 && layer.head_dim == kLatentDim &&
         layer.value_dim == kLatentValue && step.kv_heads == 1 && step.page_tokens % 8 == 0;
}

/// False where a block cannot have that much shared memory.
bool fits(int bytes) {
  int device = 0, most = 0;
  VORTEX_CUDA_CHECK(cudaGetDevice(&device));
  VORTEX_CUDA_CHECK(cudaDeviceGetAttribute(&most, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  return bytes + 256 <= most;
}

template <class Tile>
bool launch_decode(const DecodeArguments& a, int slots, cudaStream_t stream) {
  constexpr int kBytes = Tile::kSharedBytes;
  if (!fits(kBytes)) return false;
  const int blocks = (a.layer.group + kMostHeads - 1) / kMostHeads;
  launch_kernel("latent_decode_kernel", latent_decode_kernel<Tile>, {slots * blocks, kLatentThreads, stream, kBytes}, a,
                blocks);
  return true;
}

/// At most 8 * kEights heads.
template <int kEights>
bool decode_heads(const DecodeArguments& a, int slots, cudaStream_t stream) {
  if (a.short_rows && launch_decode<ShortRows<kEights>>(a, slots, stream)) return true;
  return launch_decode<LongRows<kEights>>(a, slots, stream) || launch_decode<LittleMemory<kEights>>(a, slots, stream);
}

}  // namespace

bool decode_latent(const DecodeArguments& a, int slots, cudaStream_t stream) {
  if (!takes(a.layer, a.step) || a.skip != nullptr) return false;
  if (a.layer.group <= 16) return decode_heads<2>(a, slots, stream);
  if (a.layer.group <= 24) return decode_heads<3>(a, slots, stream);
  if (a.layer.group <= 32) return decode_heads<4>(a, slots, stream);
  return launch_decode<ManyQueries>(a, slots, stream);
}

bool prefill_latent(const AttentionLayer& layer, const StepView& step, const PrefillSlice* slices, int count,
                    int32_t most_tokens, const __nv_bfloat16* q, __nv_bfloat16* out, cudaStream_t stream) {
  using Tile = ManyQueries;
  if (!takes(layer, step) || layer.window > 0 || layer.sinks != nullptr) return false;
  if (!fits(Tile::kSharedBytes)) return false;
  const dim3 grid(static_cast<unsigned>((int64_t{most_tokens} * layer.group + Tile::kColumns - 1) / Tile::kColumns),
                  static_cast<unsigned>(count));
  launch_kernel("latent_prefill_kernel", latent_prefill_kernel<Tile>,
                {grid, kLatentThreads, stream, Tile::kSharedBytes}, {layer, step, slices, q, out});
  return true;
}

}  // namespace vortex::cuda
