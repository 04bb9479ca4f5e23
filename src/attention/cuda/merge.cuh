// How the pieces of a row become its output, and how blocks take pieces.
#pragma once

#include "attention/cuda/decode_arguments.h"
#include "attention/cuda/mma.cuh"

namespace vortex::cuda {

/// Piece `index` of a work list as the step fills it: a selection may have left pages out.
struct Piece {
  int index, row, sequence, head;
  int first, pages;  // list entries
  int begin, end;    // tokens of the row's list
  int pieces;        // of the row
};

__device__ inline Piece read_piece(const DecodeArguments& a, int index) {
  Piece p;
  p.index = index;
  p.row = a.work.row[index];
  p.sequence = p.row / a.step.kv_heads;
  p.head = p.row % a.step.kv_heads;
  p.first = a.work.first[index];
  const int listed = a.list.counts[p.row];
  p.pages = max(0, min(a.work.pages[index], listed - p.first));
  p.begin = p.first * a.step.page_tokens;
  p.end =
      min((p.first + p.pages) * a.step.page_tokens, (listed - 1) * a.step.page_tokens + a.step.last_tokens[p.sequence]);
  p.pieces = a.work.pieces[p.row];
  return p;
}

/// All threads of the block: the next of `total` items. Blocks of one launch share a queue, unless each has its item.
__device__ inline int next_item(const DecodeArguments& a, int total, int* shared) {
  if (total <= static_cast<int>(gridDim.x)) return total;
  __syncthreads();
  if (threadIdx.x == 0) *shared = static_cast<int>(gridDim.x) + atomicAdd(a.partials.queue, 1);
  __syncthreads();
  return *shared;
}

/// The last block to leave sets the queue back.
__device__ inline void leave_queue(const DecodeArguments& a, int total) {
  if (threadIdx.x != 0 || total <= static_cast<int>(gridDim.x)) return;
  if (atomicAdd(a.partials.queue + 1, 1) != static_cast<int>(gridDim.x) - 1) return;
  a.partials.queue[0] = 0;
  a.partials.queue[1] = 0;
}

/// All threads: whether this block brings the row's last part of `parts`. What others wrote before is visible then.
__device__ inline bool arrive(int32_t* counter, int parts, int* shared) {
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    const int before = atomicAdd(counter, 1);
    if (before == parts - 1) *counter = 0;
    *shared = before == parts - 1;
  }
  __syncthreads();
  if (*shared) __threadfence();
  return *shared != 0;
}

/// Largest score, sum of weights relative to it, and their sums of kWidth values.
template <int kWidth>
struct Sum {
  float top = -INFINITY, total = 0.0f;
  float values[kWidth] = {};

  __device__ void add(float other_top, float other_total, const float (&other)[kWidth]) {
    const float largest = fmaxf(top, other_top);
    const float origin = largest == -INFINITY ? 0.0f : largest;
    const float mine = exp2_fast(top - origin), theirs = exp2_fast(other_top - origin);
    total = total * mine + other_total * theirs;
    for (int i = 0; i < kWidth; ++i) values[i] = values[i] * mine + other[i] * theirs;
    top = largest;
  }
  /// A sink takes weight and has no value.
  __device__ void add_sink(const float* sinks, int head) {
    const float nothing[kWidth] = {};
    if (sinks != nullptr) add(sinks[head] * kLog2E, 1.0f, nothing);
  }
};

/// The sum of four columns over all pieces of a row; loads of some pieces at a time are under way together.
__device__ inline Sum<4> sum_pieces(const Partials& partials, int64_t first, int pieces, int group, int width, int d) {
  constexpr int kTogether = 8;
  Sum<4> sum;
  for (int base = 0; base < pieces; base += kTogether) {
    float2 stats[kTogether];
    float4 values[kTogether];
#pragma unroll
    for (int i = 0; i < kTogether; ++i) {
      const int64_t at = first + int64_t{min(base + i, pieces - 1)} * group;
      stats[i] = __ldcg(partials.stats + at);
      values[i] = __ldcg(reinterpret_cast<const float4*>(partials.out + at * width + d));
    }
#pragma unroll
    for (int i = 0; i < kTogether; ++i)
      if (base + i < pieces) sum.add(stats[i].x, stats[i].y, {values[i].x, values[i].y, values[i].z, values[i].w});
  }
  return sum;
}

/// Heads [first, end) of a row from all its pieces.
__device__ inline void merge_pieces(const DecodeArguments& a, const Piece& p, int first, int end) {
  const int group = a.layer.group, width = a.layer.value_dim;
  const int64_t start = int64_t{a.work.start[p.row]} * group;
  for (int i = threadIdx.x * 4; i < (end - first) * width; i += blockDim.x * 4) {
    const int head = first + i / width, d = i % width;
    Sum<4> sum = sum_pieces(a.partials, start + head, p.pieces, group, width, d);
    sum.add_sink(a.layer.sinks, p.head * group + head);
    const uint2 packed = {pack(sum.values[0] / sum.total, sum.values[1] / sum.total),
                          pack(sum.values[2] / sum.total, sum.values[3] / sum.total)};
    *reinterpret_cast<uint2*>(a.out + (int64_t{p.row} * group + head) * width + d) = packed;
  }
}

}  // namespace vortex::cuda
