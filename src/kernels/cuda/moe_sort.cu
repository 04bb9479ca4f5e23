// Pairs of token and expert sorted by expert, without atomics: one block an expert looks at all pairs, counts those of
// lower experts and places its own in order.
#include "device/cuda/launch.cuh"
#include "kernels/cuda/device_math.cuh"
#include "kernels/cuda/moe_parts.h"

namespace vortex::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;

/// Pairs of experts below `expert`.
__device__ int count_below(const Routing& routing, int pairs, int expert) {
  __shared__ int sums[kWarps];
  int count = 0;
  for (int p = threadIdx.x; p < pairs; p += kThreads) count += routing.experts[p] < expert;
  count = __reduce_add_sync(kAllLanes, count);
  if (threadIdx.x % kWarp == 0) sums[threadIdx.x / kWarp] = count;
  __syncthreads();
  int total = 0;
  for (int w = 0; w < kWarps; ++w) total += sums[w];
  return total;
}

__global__ void sort_kernel(Routing routing, int pairs, int experts) {
  __shared__ int counts[2][kWarps];
  const int expert = static_cast<int>(blockIdx.x);
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  int place = count_below(routing, pairs, expert);
  if (threadIdx.x == 0) routing.offsets[expert] = place;
  if (threadIdx.x == 0 && expert == 0) routing.offsets[experts] = pairs;
  for (int first = 0, turn = 0; first < pairs; first += kThreads, turn ^= 1) {
    const int pair = first + static_cast<int>(threadIdx.x);
    const bool ours = pair < pairs && routing.experts[pair] == expert;
    const unsigned lanes = __ballot_sync(kAllLanes, ours);
    if (lane == 0) counts[turn][warp] = __popc(lanes);
    __syncthreads();
    int before = 0, all = 0;
    for (int w = 0; w < kWarps; ++w) {
      before += w < warp ? counts[turn][w] : 0;
      all += counts[turn][w];
    }
    if (ours) {
      const int at = place + before + __popc(lanes & ((1u << lane) - 1));
      routing.pairs[at] = pair;
      routing.places[pair] = at;
    }
    place += all;
  }
}

}  // namespace

void sort_by_expert(const Routing& routing, int64_t pairs, int experts, cudaStream_t stream) {
  launch_kernel("sort_kernel", sort_kernel, {static_cast<unsigned>(experts), kThreads, stream}, routing,
                static_cast<int>(pairs), experts);
}

}  // namespace vortex::cuda
