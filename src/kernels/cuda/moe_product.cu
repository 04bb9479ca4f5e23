// Products of each expert's weights with the tokens sorted to it. A block takes 128 rows of one expert's weights, which
// are the rows of the tensor cores' tiles since tokens are few, and walks over tiles of the expert's tokens.
#include "device/cuda/launch.cuh"
#include "device/cuda/ptx.cuh"
#include "kernels/cuda/device_math.cuh"
#include "kernels/cuda/moe_parts.h"

namespace vortex::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;
constexpr int kRows = 128;  // of weights, a block
constexpr int kCols = 64;   // of weights and inputs, a stage
constexpr int kStages = 4;
constexpr int kChunk = 8;  // elements of a 16-byte copy
constexpr int kChunks = kCols / kChunk;

struct Product {
  const bf16* weight;  // [experts, matrix_rows, cols]
  const float* bias;   // [experts, matrix_rows] or null
  int64_t cols;
  int64_t matrix_rows;  // gated: 2 * out_rows, gate above up
  int64_t out_rows;
  const bf16* x;  // [.., cols]
  const int32_t* offsets;
  const int32_t* pairs;  // null: place p reads row p of x; else row pairs[p] / per_token
  int per_token;
  bf16* out;  // [places, out_rows]
};

/// What one block works on.
struct Tile {
  const bf16* weight;  // of the expert
  const float* bias;
  int64_t first_row;  // of the output
  int first, end;     // places of the expert's tokens
};

/// A warp's 32 rows: gated, 16 of gate and the same 16 of up; else 32 of one matrix. -1 past the end.
template <bool Gated>
__device__ int64_t weight_row(const Product& product, int64_t first_row, int tile_row) {
  const int warp = tile_row / 32, within = tile_row % 32;
  const int64_t row = Gated ? first_row + warp * 16 + within % 16 : first_row + tile_row;
  if (row >= product.out_rows) return -1;
  return Gated && within >= 16 ? product.out_rows + row : row;
}

/// Where chunk `chunk` of row `row` lies in a stage: chunks of eight rows are spread over all banks.
__device__ uint32_t chunk_offset(int row, int chunk) {
  return static_cast<uint32_t>((row * kChunks + (chunk ^ row % kChunks)) * kChunk * sizeof(bf16));
}

/// Each thread copies the same rows in every stage: chunk threadIdx % 8 of rows threadIdx / 8 + 16 i.
template <bool Gated, int Tokens>
struct Loader {
  static constexpr int kRowStep = kThreads / kChunks;
  static constexpr int kWeightRows = kRows / kRowStep, kTokenRows = Tokens / kRowStep;
  static constexpr uint32_t kWeightBytes = kRows * kCols * sizeof(bf16);
  static constexpr uint32_t kStageBytes = kWeightBytes + Tokens * kCols * sizeof(bf16);

  const bf16* weight[kWeightRows];
  const bf16* x[kTokenRows];
  int64_t cols;

  __device__ Loader(const Product& product, const Tile& tile, int first_place) : cols(product.cols) {
    const int row = threadIdx.x / kChunks;
#pragma unroll
    for (int i = 0; i < kWeightRows; ++i) {
      const int64_t source = weight_row<Gated>(product, tile.first_row, row + i * kRowStep);
      weight[i] = source < 0 ? nullptr : tile.weight + source * cols;
    }
#pragma unroll
    for (int i = 0; i < kTokenRows; ++i) {
      const int place = first_place + row + i * kRowStep;
      const int source = place >= tile.end ? -1 : product.pairs ? product.pairs[place] / product.per_token : place;
      x[i] = source < 0 ? nullptr : product.x + source * cols;
    }
  }

  __device__ static void copy(uint32_t to, const bf16* row, int64_t col, int64_t cols, const bf16* valid) {
    const bool inside = row != nullptr && col < cols;
    copy_async(to, inside ? row + col : valid, inside ? 16 : 0);
  }

  __device__ void load(uint32_t stage, int64_t first_col, const bf16* valid) const {
    const int row = threadIdx.x / kChunks, chunk = threadIdx.x % kChunks;
    const int64_t col = first_col + chunk * kChunk;
#pragma unroll
    for (int i = 0; i < kWeightRows; ++i)
      copy(stage + chunk_offset(row + i * kRowStep, chunk), weight[i], col, cols, valid);
#pragma unroll
    for (int i = 0; i < kTokenRows; ++i)
      copy(stage + kWeightBytes + chunk_offset(row + i * kRowStep, chunk), x[i], col, cols, valid);
  }
};

template <int Tokens>
using Sums = float[2][Tokens / 8][4];

/// One stage: a warp's 32 rows by all tokens of the tile.
template <int Tokens>
__device__ void multiply_stage(uint32_t weights, uint32_t tokens, Sums<Tokens>& sums) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
#pragma unroll
  for (int k = 0; k < kCols / 16; ++k) {
    uint32_t a[2][4];
#pragma unroll
    for (int m = 0; m < 2; ++m)
      load_tiles(a[m], weights + chunk_offset(warp * 32 + m * 16 + lane % 16, k * 2 + lane / 16));
#pragma unroll
    for (int n = 0; n < Tokens / 16; ++n) {
      uint32_t b[4];
      load_tiles(b, tokens + chunk_offset(n * 16 + lane % 8 + lane / 16 * 8, k * 2 + lane / 8 % 2));
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        multiply_add(sums[m][n * 2], a[m], b[0], b[1]);
        multiply_add(sums[m][n * 2 + 1], a[m], b[2], b[3]);
      }
    }
  }
}

template <bool Gated, int Tokens>
__device__ void multiply(const Product& product, const Tile& tile, int first_place, uint32_t memory,
                         Sums<Tokens>& sums) {
  using TileLoader = Loader<Gated, Tokens>;
  const TileLoader loader(product, tile, first_place);
  const int steps = static_cast<int>(ceil_div<int64_t>(product.cols, kCols));
  const auto stage = [&](int step) { return memory + step % kStages * TileLoader::kStageBytes; };
#pragma unroll
  for (int step = 0; step < kStages - 1; ++step) {
    if (step < steps) loader.load(stage(step), int64_t{step} * kCols, tile.weight);
    commit_copies();
  }
  for (int step = 0; step < steps; ++step) {
    wait_copies<kStages - 2>();
    __syncthreads();
    const int next = step + kStages - 1;
    if (next < steps) loader.load(stage(next), int64_t{next} * kCols, tile.weight);
    commit_copies();
    multiply_stage<Tokens>(stage(step), stage(step) + TileLoader::kWeightBytes, sums);
  }
  wait_copies<0>();
  __syncthreads();
}

template <bool Gated>
__device__ float biased(const Product& product, const Tile& tile, int64_t row, bool up, float sum) {
  return tile.bias == nullptr ? sum : sum + tile.bias[Gated && up ? product.out_rows + row : row];
}

/// Sums m of a thread are rows lane / 4 and 8 below of 16, tokens lane % 4 * 2 and the next of 8.
template <bool Gated, kernels::Gating G, int Tokens>
__device__ void write(const Product& product, const Tile& tile, int first_place, const Sums<Tokens>& sums) {
  const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
#pragma unroll
  for (int n = 0; n < Tokens / 8; ++n) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int place = first_place + n * 8 + lane % 4 * 2 + i % 2;
      const int row_in_tile = lane / 4 + i / 2 * 8;
      if (place >= tile.end) continue;
      bf16* out = product.out + place * product.out_rows;
      if constexpr (Gated) {
        const int64_t row = tile.first_row + warp * 16 + row_in_tile;
        if (row >= product.out_rows) continue;
        out[row] = __float2bfloat16(gated<G>(biased<Gated>(product, tile, row, false, sums[0][n][i]),
                                             biased<Gated>(product, tile, row, true, sums[1][n][i])));
      } else {
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          const int64_t row = tile.first_row + warp * 32 + m * 16 + row_in_tile;
          if (row < product.out_rows)
            out[row] = __float2bfloat16(biased<Gated>(product, tile, row, false, sums[m][n][i]));
        }
      }
    }
  }
}

/// Blocks: [tiles of rows, experts, slices of an expert's tokens].
template <bool Gated, kernels::Gating G, int Tokens>
__global__ void __launch_bounds__(kThreads) product_kernel(Product product) {
  const int expert = static_cast<int>(blockIdx.y);
  const int end = product.offsets[expert + 1];
  int place = product.offsets[expert] + static_cast<int>(blockIdx.z) * Tokens;
  const Tile tile{product.weight + expert * product.matrix_rows * product.cols,
                  product.bias == nullptr ? nullptr : product.bias + expert * product.matrix_rows,
                  int64_t{blockIdx.x} * (Gated ? kRows / 2 : kRows), place, end};
  for (; place < end; place += static_cast<int>(gridDim.z) * Tokens) {
    Sums<Tokens> sums = {};
    multiply<Gated, Tokens>(product, tile, place, shared_address(dynamic_shared<unsigned char>()), sums);
    write<Gated, G, Tokens>(product, tile, place, sums);
  }
}

template <bool Gated, kernels::Gating G, int Tokens>
void launch(const Product& product, int experts, int64_t pairs, cudaStream_t stream) {
  constexpr auto kBytes = static_cast<int>(kStages * Loader<Gated, Tokens>::kStageBytes);
  const int64_t row_tiles = ceil_div<int64_t>(product.out_rows, Gated ? kRows / 2 : kRows);
  const int64_t slices = std::clamp<int64_t>(2 * pairs / experts / Tokens, 1, 64);
  const dim3 grid(static_cast<unsigned>(row_tiles), static_cast<unsigned>(experts), static_cast<unsigned>(slices));
  launch_kernel("product_kernel", product_kernel<Gated, G, Tokens>, {grid, kThreads, stream, kBytes}, product);
}

/// Few tokens an expert: small tiles, more stages of weights in a multiprocessor.
template <bool Gated, kernels::Gating G>
void run(const Product& product, int experts, int64_t pairs, cudaStream_t stream) {
  if (product.cols % kChunk != 0) fail("moe", "experts' sizes must be multiples of 8");
  if (pairs <= int64_t{experts} * 16)
    launch<Gated, G, 16>(product, experts, pairs, stream);
  else
    launch<Gated, G, 64>(product, experts, pairs, stream);
}

}  // namespace

void expert_gate_up(const ExpertWeights& weights, const Routing& routing, int experts, int per_token, int64_t pairs,
                    const bf16* x, bf16* out, cudaStream_t stream) {
  const Product product{weights.gate_up, weights.gate_up_bias,
                        weights.hidden,  2 * weights.inner,
                        weights.inner,   x,
                        routing.offsets, routing.pairs,
                        per_token,       out};
  with_gating(weights.gating, [&]<kernels::Gating G>() { run<true, G>(product, experts, pairs, stream); });
}

void expert_down(const ExpertWeights& weights, const Routing& routing, int experts, int64_t pairs, const bf16* x,
                 bf16* out, cudaStream_t stream) {
  const Product product{
      weights.down, weights.down_bias, weights.inner, weights.hidden, weights.hidden, x, routing.offsets, nullptr, 1,
      out};
  run<false, kernels::Gating::kSilu>(product, experts, pairs, stream);
}

}  // namespace vortex::cuda
