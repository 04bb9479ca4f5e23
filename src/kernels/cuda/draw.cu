// The largest logit of each row, found by several blocks; rows with a temperature go on from it.
#include "device/cuda/launch.cuh"
#include "kernels/cuda/draw.h"
#include "kernels/cuda/draw_keys.cuh"

namespace vortex::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocks = 1024;  // of all rows together: a few a multiprocessor
constexpr int kMaxSplits = 128;
constexpr int kMaxVocab = 1 << 19;  // of draw_by_temperature's sums

struct Rows {
  const float* logits;
  const DrawRow* draws;
  int vocab;
  int part;        // logits a block looks at, a multiple of 4
  Key* partial;    // [rows, kMaxSplits]
  unsigned* done;  // [rows] blocks of a row that have finished; 0 between launches
  Key* best;       // [rows]
  int32_t* tokens;
};

struct Best {
  float logit = -std::numeric_limits<float>::infinity();
  int32_t token = 0;
  bool finite = true;
  __device__ void see(float value, int32_t id) {
    finite = finite && is_finite(value);
    if (value > logit) logit = value, token = id;
  }
};

__device__ Key warp_max(Key key) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) key = max(key, __shfl_xor_sync(kAllLanes, key, offset));
  return key;
}

/// Of the whole block, in thread 0.
__device__ Key block_max(Key key) {
  __shared__ Key shared[kThreads / kWarp];
  const int lane = threadIdx.x % kWarp;
  key = warp_max(key);
  if (lane == 0) shared[threadIdx.x / kWarp] = key;
  __syncthreads();
  return warp_max(lane < kThreads / kWarp ? shared[lane] : 0);
}

template <int Width>
__device__ Key best_of_part(const float* row, int begin, int end) {
  Best best;
#pragma unroll 4
  for (int i = begin + static_cast<int>(threadIdx.x) * Width; i < end; i += kThreads * Width) {
    const auto values = *reinterpret_cast<const Vector<float, Width>*>(row + i);
#pragma unroll
    for (int j = 0; j < Width; ++j) best.see(values.at[j], i + j);
  }
  return best.finite ? key_of(best.logit, best.token) : kNotFinite;
}

__device__ void finish_row(const Rows& rows, int64_t row, Key best) {
  rows.best[row] = best;
  if (best == kNotFinite)
    rows.tokens[row] = kFailedDraw;
  else if (rows.draws[row].temperature == 0.0f)
    rows.tokens[row] = token_of(best);
}

template <int Width>
__global__ void best_kernel(Rows rows) {
  __shared__ bool last;
  const int64_t row = blockIdx.y;
  const int begin = static_cast<int>(blockIdx.x) * rows.part, end = min(rows.vocab, begin + rows.part);
  const Key best = block_max(best_of_part<Width>(rows.logits + row * rows.vocab, begin, end));
  Key* partial = rows.partial + row * kMaxSplits;
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = best;
    __threadfence();
    last = atomicInc(rows.done + row, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (!last || threadIdx.x >= kWarp) return;
  __threadfence();
  Key merged = 0;
  for (unsigned i = threadIdx.x; i < gridDim.x; i += kWarp) merged = max(merged, __ldcg(partial + i));
  merged = warp_max(merged);
  if (threadIdx.x == 0) finish_row(rows, row, merged);
}

}  // namespace

struct DrawScratch::Memory {
  DeviceArray<Key> partial, best;
  DeviceArray<unsigned> done;
};

DrawScratch::DrawScratch(int rows, int vocab) : memory_(std::make_unique<Memory>()) {
  if (vocab > kMaxVocab) fail("draw", "the vocabulary is too large");
  memory_->partial = DeviceArray<Key>(int64_t{rows} * kMaxSplits);
  memory_->best = DeviceArray<Key>(rows);
  memory_->done = DeviceArray<unsigned>(rows);
  VORTEX_CUDA_CHECK(cudaMemset(memory_->done.data(), 0, static_cast<size_t>(memory_->done.bytes())));
}

DrawScratch::~DrawScratch() = default;

void DrawScratch::run(const float* logits, const DrawRow* draws, int rows, int vocab, int32_t* tokens,
                      cudaStream_t stream) {
  if (rows == 0) return;
  const int splits = std::clamp(kBlocks / rows, 1, kMaxSplits);
  const int part = ceil_div(vocab, splits * 4) * 4;
  const Rows all{logits, draws, vocab, part, memory_->partial.data(), memory_->done.data(), memory_->best.data(),
                 tokens};
  const dim3 grid(static_cast<unsigned>(ceil_div(vocab, part)), static_cast<unsigned>(rows));
  if (vocab % 4 == 0 && reinterpret_cast<uintptr_t>(logits) % sizeof(float4) == 0)
    launch_kernel("best_kernel", best_kernel<4>, {grid, kThreads, stream}, all);
  else
    launch_kernel("best_kernel", best_kernel<1>, {grid, kThreads, stream}, all);
  draw_by_temperature(logits, draws, all.best, rows, vocab, tokens, stream);
}

}  // namespace vortex::cuda
