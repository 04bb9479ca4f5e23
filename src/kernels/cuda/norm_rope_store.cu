// From the projections of a layer to queries and to rows of pages: a warp a head of a token, which is in shared memory
// between its norm and its rotation.
#include "device/cuda/launch.cuh"
#include "kernels/cuda/dense.h"
#include "kernels/cuda/rope.cuh"

namespace vortex::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kMaxHeadDim = 256;

struct Inputs {
  const bf16* qkv;
  QkvShape shape;
  StepView step;
  TokenView tokens;
  FieldPointer k, v;
  bf16* q;
};

/// Which of q, k or v the warp's head is of.
struct Head {
  enum Part { kQ, kK, kV } part;
  int index;  // of its part
};

__device__ Head head_of(int i, const QkvShape& shape) {
  if (i < shape.heads) return {Head::kQ, i};
  i -= shape.heads;
  return i < shape.kv_heads ? Head{Head::kK, i} : Head{Head::kV, i - shape.kv_heads};
}

__device__ float warp_squares(const bf16* x, int n, int lane) {
  float sum = 0.0f;
  for (int i = lane * 2; i < n; i += 2 * kWarp) {
    const float2 pair = __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(x + i));
    sum += pair.x * pair.x + pair.y * pair.y;
  }
  return warp_sum(sum);
}

/// One over the norm of a head, or of all heads of its part. `squares`: of the token, where they are given.
__device__ float norm_scale(const bf16* x, const bf16* part, const float* squares, const QkvShape& shape, Head head,
                            int lane) {
  const bool q = head.part == Head::kQ;
  const bool given = squares != nullptr;
  const int heads = !shape.norm_all ? 1
                    : given         ? (q ? shape.square_heads : shape.square_kv_heads)
                                    : (q ? shape.heads : shape.kv_heads);
  const int count = heads * shape.head_dim;
  const float sum = given ? squares[q ? 0 : 1] : warp_squares(shape.norm_all ? part : x, count, lane);
  return rsqrtf(sum / static_cast<float>(count) + shape.eps);
}

/// Reads a head into `out`, normed where there is a norm.
__device__ void load_head(const bf16* x, const bf16* part, const float* squares, const QkvShape& shape, Head head,
                          int lane, float* out) {
  const int dim = shape.head_dim;
  const float* norm = head.part == Head::kQ ? shape.q_norm : head.part == Head::kK ? shape.k_norm : nullptr;
  float scale = 1.0f;
  if (norm != nullptr) {
    scale = norm_scale(x, part, squares, shape, head, lane);
    if (shape.norm_all) norm += head.index * dim;
  }
  for (int i = lane * 2; i < dim; i += 2 * kWarp) {
    const float2 pair = __bfloat1622float2(*reinterpret_cast<const __nv_bfloat162*>(x + i));
    out[i] = norm != nullptr ? pair.x * scale * norm[i] : pair.x;
    out[i + 1] = norm != nullptr ? pair.y * scale * norm[i + 1] : pair.y;
  }
  __syncwarp();
}

template <class T>
__device__ void write_head(const float* head, int dim, const Rotation& rotation, int lane, T* out) {
  for (int i = lane * 2; i < dim; i += 2 * kWarp) {
    Vector<T, 2> pair{to_stored<T>(rotation.at(head, i)), to_stored<T>(rotation.at(head, i + 1))};
    *reinterpret_cast<Vector<T, 2>*>(out + i) = pair;
  }
}

template <class Stored>
__global__ void norm_rope_store_kernel(Inputs in) {
  __shared__ float rows[kWarps][kMaxHeadDim];
  const QkvShape& shape = in.shape;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int all_heads = shape.heads + 2 * shape.kv_heads;
  const int item = static_cast<int>(blockIdx.x) * kWarps + warp;
  if (item >= in.tokens.count * all_heads) return;
  const int64_t token = item / all_heads;
  const int i = item % all_heads, dim = shape.head_dim;
  const int32_t position = in.tokens.position[token];
  if (position < 0) return;
  const Head head = head_of(i, shape);
  const bf16* row = in.qkv + token * all_heads * dim;
  const bf16* part = head.part == Head::kQ ? row : row + int64_t{shape.heads} * dim;
  const float* squares = shape.squares != nullptr ? shape.squares + token * 2 : nullptr;
  load_head(row + int64_t{i} * dim, part, squares, shape, head, lane, rows[warp]);
  const bool rotated = head.part != Head::kV;
  const int pairs = rotated ? shape.rope_pairs : 0;
  const Rotation rotation{shape.rope + int64_t{position} * 2 * shape.rope_pairs, pairs, shape.interleaved};
  if (head.part == Head::kQ) {
    write_head(rows[warp], dim, rotation, lane, in.q + (token * shape.heads + i) * dim);
  } else {
    const FieldPointer& field = head.part == Head::kK ? in.k : in.v;
    write_head(rows[warp], dim, rotation, lane,
               stored_row<Stored>(field, in.step, in.tokens.sequence[token], position, head.index, dim));
  }
}

/// A warp a token and part.
__global__ void squares_kernel(const bf16* qkv, QkvShape shape, int64_t tokens, bool keys, float* squares) {
  const int64_t item = int64_t{blockIdx.x} * kWarps + threadIdx.x / kWarp, token = item / 2;
  const int lane = threadIdx.x % kWarp;
  if (token >= tokens) return;
  const bool key = item % 2 != 0;
  const bf16* row = qkv + token * (shape.heads + 2 * shape.kv_heads) * shape.head_dim;
  const bf16* part = key ? row + int64_t{shape.heads} * shape.head_dim : row;
  const int count = !key ? shape.heads * shape.head_dim : keys ? shape.kv_heads * shape.head_dim : 0;
  const float sum = warp_squares(part, count, lane);
  if (lane == 0) squares[item] = sum;
}

}  // namespace

void sum_of_squares(const bf16* qkv, const QkvShape& shape, int64_t tokens, bool keys, float* squares,
                    cudaStream_t stream) {
  if (tokens == 0) return;
  const auto blocks = static_cast<unsigned>(ceil_div<int64_t>(2 * tokens, kWarps));
  launch_kernel("squares_kernel", squares_kernel, {blocks, kWarps * kWarp, stream}, qkv, shape, tokens, keys, squares);
}

void norm_rope_store(const bf16* qkv, const QkvShape& shape, const StepView& step, const TokenView& tokens,
                     FieldPointer k, FieldPointer v, DType kv_dtype, bf16* q, cudaStream_t stream) {
  if (shape.head_dim % 2 != 0 || shape.head_dim > kMaxHeadDim) fail("norm_rope_store", "head size");
  const int64_t items = int64_t{tokens.count} * (shape.heads + 2 * shape.kv_heads);
  if (items == 0) return;
  const Inputs inputs{qkv, shape, step, tokens, k, v, q};
  with_stored_type(kv_dtype, [&]<class Stored>(Stored) {
    const auto blocks = static_cast<unsigned>(ceil_div<int64_t>(items, kWarps));
    launch_kernel("norm_rope_store_kernel", norm_rope_store_kernel<Stored>, {blocks, kWarps * kWarp, stream}, inputs);
  });
}

}  // namespace vortex::cuda
