// Embeddings and gates.
#include "device/cuda/launch.cuh"
#include "kernels/cuda/dense.h"
#include "kernels/cuda/device_math.cuh"

namespace vortex::cuda {
namespace {

constexpr int kThreads = 256;

struct Ids {
  const int32_t* given;
  const int32_t* draw_of;
  const int32_t* drawn;
};

template <int Width>
__global__ void embed_kernel(const bf16* table, Ids ids, int64_t hidden, float scale, float* out) {
  const int64_t token = blockIdx.y;
  const int64_t col = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * Width;
  if (col >= hidden) return;
  const int32_t draw = ids.draw_of != nullptr ? ids.draw_of[token] : -1;
  // A draw that failed is negative: its request ends, but this step is already queued.
  const int64_t id = max(0, draw >= 0 ? ids.drawn[draw] : ids.given[token]);
  const auto row = *reinterpret_cast<const Vector<bf16, Width>*>(table + id * hidden + col);
  Vector<float, Width> values;
#pragma unroll
  for (int i = 0; i < Width; ++i) values.at[i] = __bfloat162float(row.at[i]) * scale;
  *reinterpret_cast<Vector<float, Width>*>(out + token * hidden + col) = values;
}

template <kernels::Gating G, int Width>
__global__ void gate_mul_kernel(const bf16* gate_up, int64_t inner, bf16* out) {
  using Values = Vector<bf16, Width>;
  const int64_t token = blockIdx.y;
  const int64_t col = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * Width;
  if (col >= inner) return;
  const bf16* row = gate_up + token * 2 * inner + col;
  const Values gate = *reinterpret_cast<const Values*>(row);
  const Values up = *reinterpret_cast<const Values*>(row + inner);
  Values result;
#pragma unroll
  for (int i = 0; i < Width; ++i)
    result.at[i] = __float2bfloat16(gated<G>(__bfloat162float(gate.at[i]), __bfloat162float(up.at[i])));
  *reinterpret_cast<Values*>(out + token * inner + col) = result;
}

dim3 grid_of(int64_t cols, int width, int64_t tokens) {
  return dim3(static_cast<unsigned>(ceil_div<int64_t>(cols, int64_t{kThreads} * width)), static_cast<unsigned>(tokens));
}

bool aligned(const void* a, const void* b) {
  return (reinterpret_cast<uintptr_t>(a) | reinterpret_cast<uintptr_t>(b)) % 16 == 0;
}

}  // namespace

void embed(const bf16* table, const int32_t* ids, const int32_t* draw_of, const int32_t* drawn, int64_t tokens,
           int64_t hidden, float scale, float* out, cudaStream_t stream) {
  if (tokens == 0) return;
  const Ids all{ids, draw_of, drawn};
  if (hidden % 4 == 0 && aligned(table, out))
    launch_kernel("embed_kernel", embed_kernel<4>, {grid_of(hidden, 4, tokens), kThreads, stream}, table, all, hidden,
                  scale, out);
  else
    launch_kernel("embed_kernel", embed_kernel<1>, {grid_of(hidden, 1, tokens), kThreads, stream}, table, all, hidden,
                  scale, out);
}

void gate_mul(kernels::Gating gating, const bf16* gate_up, int64_t tokens, int64_t inner, bf16* out,
              cudaStream_t stream) {
  if (tokens == 0) return;
  with_gating(gating, [&]<kernels::Gating G>() {
    if (inner % 8 == 0 && aligned(gate_up, out))
      launch_kernel("gate_mul_kernel", gate_mul_kernel<G, 8>, {grid_of(inner, 8, tokens), kThreads, stream}, gate_up,
                    inner, out);
    else
      launch_kernel("gate_mul_kernel", gate_mul_kernel<G, 1>, {grid_of(inner, 1, tokens), kThreads, stream}, gate_up,
                    inner, out);
  });
}

}  // namespace vortex::cuda
