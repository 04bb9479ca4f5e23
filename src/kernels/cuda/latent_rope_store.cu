// Latent attention between projections and cache: a warp for the stored row of a token and for each of its heads.
#include "device/cuda/launch.cuh"
#include "kernels/cuda/dense.h"
#include "kernels/cuda/rope.cuh"

namespace vortex::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kMaxRopeDim = 256;

struct Inputs {
  const bf16* kv_a;
  const bf16* q;
  LatentShape shape;
  StepView step;
  TokenView tokens;
  FieldPointer latent;
  bf16* q_absorbed;
};

template <class T>
__device__ void write_rotated(const bf16* x, const LatentShape& shape, int32_t position, int lane, float* shared,
                              T* out) {
  for (int i = lane; i < shape.rope_dim; i += kWarp) shared[i] = __bfloat162float(x[i]);
  __syncwarp();
  const Rotation rotation{shape.rope + int64_t{position} * shape.rope_dim, shape.rope_dim / 2, shape.interleaved};
  for (int i = lane; i < shape.rope_dim; i += kWarp) out[i] = to_stored<T>(rotation.at(shared, i));
}

template <class T>
__device__ void write_normed(const bf16* x, const LatentShape& shape, int lane, T* out) {
  float sum = 0.0f;
  for (int i = lane; i < shape.rank; i += kWarp) sum += __bfloat162float(x[i]) * __bfloat162float(x[i]);
  const float scale = rsqrtf(warp_sum(sum) / static_cast<float>(shape.rank) + shape.eps);
  for (int i = lane; i < shape.rank; i += kWarp)
    out[i] = to_stored<T>(__bfloat162float(x[i]) * scale * shape.kv_norm[i]);
}

/// Item 0 of a token is its stored row, item h + 1 the head h.
template <class Stored>
__global__ void latent_rope_store_kernel(Inputs in) {
  __shared__ float rows[kWarps][kMaxRopeDim];
  const LatentShape& shape = in.shape;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int64_t item = int64_t{blockIdx.x} * kWarps + warp;
  const int64_t token = item / (shape.heads + 1);
  if (token >= in.tokens.count) return;
  const int32_t position = in.tokens.position[token];
  if (position < 0) return;
  const int64_t row = shape.rank + shape.rope_dim, head = item % (shape.heads + 1) - 1;
  if (head < 0) {
    const bf16* x = in.kv_a + token * row;
    Stored* out = stored_row<Stored>(in.latent, in.step, in.tokens.sequence[token], position, 0, static_cast<int>(row));
    write_normed(x, shape, lane, out);
    write_rotated(x + shape.rank, shape, position, lane, rows[warp], out + shape.rank);
  } else {
    const int64_t query = token * shape.heads + head;
    const bf16* x = in.q + query * (shape.nope + shape.rope_dim) + shape.nope;
    write_rotated(x, shape, position, lane, rows[warp], in.q_absorbed + query * row + shape.rank);
  }
}

}  // namespace

void latent_rope_store(const bf16* kv_a, const bf16* q, const LatentShape& shape, const StepView& step,
                       const TokenView& tokens, FieldPointer latent, DType kv_dtype, bf16* q_absorbed,
                       cudaStream_t stream) {
  if (shape.rope_dim > kMaxRopeDim) fail("latent_rope_store", "the rotated part of a head is too long");
  const int64_t items = int64_t{tokens.count} * (shape.heads + 1);
  if (items == 0) return;
  const Inputs inputs{kv_a, q, shape, step, tokens, latent, q_absorbed};
  with_stored_type(kv_dtype, [&]<class Stored>(Stored) {
    const auto blocks = static_cast<unsigned>(ceil_div<int64_t>(items, kWarps));
    launch_kernel("latent_rope_store_kernel", latent_rope_store_kernel<Stored>, {blocks, kWarps * kWarp, stream},
                  inputs);
  });
}

}  // namespace vortex::cuda
