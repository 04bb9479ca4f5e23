#include "attention/cuda/plan_step.h"
#include "device/cuda/launch.cuh"

namespace vortex::cuda {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / 32;
enum Kind { kAll, kWindow, kSelected, kKinds };

struct Arguments {
  StepView step;
  StepLists lists;
  PlanShape shape;
};

__device__ int first_page(const Arguments& a, int sequence, Kind kind) {
  return kind == kWindow ? max(0, a.step.tokens[sequence] - a.shape.window) / a.step.page_tokens : 0;
}

__device__ int planned_pages(const Arguments& a, int sequence, Kind kind) {
  if (a.step.tokens[sequence] == 0) return 0;
  if (kind == kSelected) return a.step.selected[sequence];
  return a.step.pages[sequence] - first_page(a, sequence, kind);
}

__device__ const ListView& list_of(const StepLists& lists, Kind kind) {
  return kind == kAll ? lists.all : kind == kWindow ? lists.window : lists.selected;
}

__device__ const WorkList& work_of(const StepLists& lists, Kind kind) {
  return kind == kAll ? lists.all_work : kind == kWindow ? lists.window_work : lists.selected_work;
}

/// The page in a slot of the selected list; -1: the flow's to fill.
__device__ int reserved_page(const Arguments& a, int sequence, int slot, int count) {
  const int pages = a.step.pages[sequence];
  if (count == pages || slot < a.step.reserved_bos) return slot;
  return slot >= count - a.step.reserved_eos ? pages - count + slot : -1;
}

__device__ void fill_row(const Arguments& a, int row, Kind kind) {
  const ListView& list = list_of(a.lists, kind);
  const int sequence = row / a.step.kv_heads, head = row % a.step.kv_heads;
  const int count = planned_pages(a, sequence, kind), first = first_page(a, sequence, kind);
  for (int i = threadIdx.x; i < count; i += blockDim.x) {
    const int page = kind == kSelected ? reserved_page(a, sequence, i, count) : first + i;
    list.pages[int64_t{row} * list.stride + i] = page < 0 ? -1 : a.step.page_id(sequence, page, head);
  }
  if (threadIdx.x != 0) return;
  list.counts[row] = count;
  if (kind == kWindow && head == 0)
    a.lists.window_skip[sequence] = max(0, a.step.tokens[sequence] - a.shape.window) % a.step.page_tokens;
}

template <class Combine>
__device__ int warp_all(int value, Combine combine) {
  for (int step = 16; step > 0; step >>= 1) value = combine(value, __shfl_xor_sync(~0u, value, step));
  return value;
}

struct Totals {
  int pages, longest;
};

__device__ Totals count_pages(const Arguments& a, Kind kind) {
  int pages = 0, longest = 0;
  for (int s = threadIdx.x % 32; s < a.step.decodes; s += 32) {
    const int count = planned_pages(a, s, kind);
    pages += count * a.step.kv_heads;
    longest = max(longest, count);
  }
  return {warp_all(pages, [](int x, int y) { return x + y; }),
          warp_all(longest, [](int x, int y) { return max(x, y); })};
}

__device__ int ceil_divide(int a, int b) { return (a + b - 1) / b; }

/// Each warp tries one size of pieces. Pieces run in waves as long as their longest; each costs something at its ends.
__device__ int choose_chunk(const Arguments& a, Kind kind, int* best) {
  const Totals totals = count_pages(a, kind);
  const int warp = threadIdx.x / 32;
  const int least = ceil_divide(a.shape.least_tokens, a.step.page_tokens);
  const int target = max(1, a.shape.slots * (warp + 1) / 8);
  const int chunk = max(least, min(max(totals.longest, 1), ceil_divide(totals.pages, target)));
  int pieces = 0;
  for (int s = threadIdx.x % 32; s < a.step.decodes; s += 32)
    pieces += ceil_divide(planned_pages(a, s, kind), chunk) * a.step.kv_heads;
  pieces = warp_all(pieces, [](int x, int y) { return x + y; });
  const int ends = ceil_divide(128, a.step.page_tokens);
  const int64_t cost = int64_t{ceil_divide(pieces, a.shape.slots)} * (chunk + ends);
  __shared__ int64_t costs[kWarps];
  if (threadIdx.x % 32 == 0) {
    costs[warp] = cost;
    best[warp] = chunk;
  }
  __syncthreads();
  int chosen = 0;
  for (int w = 1; w < kWarps; ++w)
    if (costs[w] < costs[chosen]) chosen = w;
  return best[chosen];
}

/// Sum of `value` over the threads before this one.
__device__ int scan_block(int value, int* total) {
  __shared__ int sums[kWarps];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int inclusive = value;
  for (int step = 1; step < 32; step <<= 1) {
    const int below = __shfl_up_sync(~0u, inclusive, step);
    if (lane >= step) inclusive += below;
  }
  __syncthreads();
  if (lane == 31) sums[warp] = inclusive;
  __syncthreads();
  int before = 0;
  *total = 0;
  for (int w = 0; w < kWarps; ++w) {
    if (w < warp) before += sums[w];
    *total += sums[w];
  }
  return before + inclusive - value;
}

/// Pieces of a row are of nearly one length.
__device__ void write_row_work(const WorkList& work, int row, int start, int pages, int pieces) {
  work.pieces[row] = pieces;
  work.start[row] = start;
  for (int i = 0; i < pieces; ++i) {
    const int begin = static_cast<int>(int64_t{pages} * i / pieces);
    work.row[start + i] = row;
    work.first[start + i] = begin;
    work.pages[start + i] = static_cast<int>(int64_t{pages} * (i + 1) / pieces) - begin;
  }
}

__device__ void plan_work(const Arguments& a, Kind kind) {
  __shared__ int best[kWarps];
  const WorkList& work = work_of(a.lists, kind);
  const int chunk = choose_chunk(a, kind, best);
  const int rows = a.step.decodes * a.step.kv_heads;
  int start = 0;
  for (int base = 0; base < rows; base += kThreads) {
    const int row = base + static_cast<int>(threadIdx.x);
    const int pages = row < rows ? planned_pages(a, row / a.step.kv_heads, kind) : 0;
    const int pieces = ceil_divide(pages, chunk);
    int total = 0;
    const int before = scan_block(pieces, &total);
    if (row < rows) write_row_work(work, row, start + before, pages, pieces);
    start += total;
  }
  if (threadIdx.x == 0) *work.total = start;
}

/// Blocks [0, kKinds) make the work, the others fill a row each.
__global__ void __launch_bounds__(kThreads) plan_kernel(Arguments a) {
  for (int kind = 0; kind < kKinds; ++kind) {
    const Kind k = static_cast<Kind>(kind);
    if (list_of(a.lists, k).pages == nullptr) continue;
    if (blockIdx.x == kind) plan_work(a, k);
    if (blockIdx.x >= kKinds) fill_row(a, blockIdx.x - kKinds, k);
  }
}

}  // namespace

void plan_lists(const StepView& step, const StepLists& lists, const PlanShape& shape, cudaStream_t stream) {
  if (step.decodes == 0) return;
  launch_kernel("plan_kernel", plan_kernel, {step.decodes * step.kv_heads + kKinds, kThreads, stream},
                {step, lists, shape});
}

}  // namespace vortex::cuda
