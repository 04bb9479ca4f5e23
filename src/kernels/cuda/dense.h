// Dense operations of a transformer on the GPU, queued on a stream; none waits, allocates or reads results back, so
// that a step can be captured into a graph. Activations between operations are bfloat16, the residual stream and sums
// float32. All pointers are device memory; rows are contiguous unless a stride is given. Semantics:
// kernels/dense_ops.h.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include <cstdint>

#include "device/cuda/step_views.h"
#include "kernels/dense_ops.h"
#include "tensor/dtype.h"

namespace vortex::cuda {

using bf16 = __nv_bfloat16;

/// out[t] = table[id of t] * scale, float32: table [vocab, hidden]. Token t's id is ids[t], or drawn[draw_of[t]] where
/// draw_of (may be null) is not -1.
void embed(const bf16* table, const int32_t* ids, const int32_t* draw_of, const int32_t* drawn, int64_t tokens,
           int64_t hidden, float scale, float* out, cudaStream_t stream);

/// out[r] = bf16(rms_norm(x[r]) * weight): x [rows, cols] float32, rows x_stride apart.
void rms_norm(const float* x, int64_t x_stride, const float* weight, float eps, int64_t rows, int64_t cols, bf16* out,
              int64_t out_stride, cudaStream_t stream);

/// hidden[r] += rms_norm(x[r]) * weight, float32 all: Gemma's second norms.
void add_rms_norm(const float* x, const float* weight, float eps, int64_t rows, int64_t cols, float* hidden,
                  cudaStream_t stream);

/// Rows picks[i] of x, normed: what the output head reads.
void rms_norm_rows(const float* x, const int32_t* picks, const float* weight, float eps, int64_t rows, int64_t cols,
                   bf16* out, cudaStream_t stream);

/// What q, k and v of a layer get between projection and cache.
struct QkvShape {
  int heads = 0, kv_heads = 0, head_dim = 0;
  int rope_pairs = 0;
  bool interleaved = false;
  const float* rope = nullptr;    // [positions, 2 * rope_pairs]: cos, then sin
  const float* q_norm = nullptr;  // null: none; [head_dim], or [heads * head_dim] with norm_all
  const float* k_norm = nullptr;
  bool norm_all = false;  // over all heads together
  // norm_all over heads of several ranks: [tokens, 2] sums over the squares of so many heads of q, and of k; null: of
  // the heads in qkv
  const float* squares = nullptr;
  int square_heads = 0, square_kv_heads = 0;
  float eps = 0;
};

/// Norms and rotates q and k of qkv [tokens, (heads + 2 kv_heads) * head_dim] (bias already added), rounds q into `q`
/// [tokens, heads, head_dim], and writes k and v of each token to its page. Tokens of position -1 are not stored.
void norm_rope_store(const bf16* qkv, const QkvShape& shape, const StepView& step, const TokenView& tokens,
                     FieldPointer k, FieldPointer v, DType kv_dtype, bf16* q, cudaStream_t stream);

/// squares [tokens, 2]: of all q and of all k of qkv, as norm_rope_store takes it. Without `keys` 0 for those of k.
void sum_of_squares(const bf16* qkv, const QkvShape& shape, int64_t tokens, bool keys, float* squares,
                    cudaStream_t stream);

/// Latent attention: norms the first `rank` of kv_a [tokens, rank + rope_dim], rotates the rest, stores the row.
/// Rotates the last rope_dim of every head of q [tokens, heads, nope + rope_dim] into q_absorbed [tokens, heads, rank +
/// rope_dim] from column `rank` on.
struct LatentShape {
  int heads = 0, rank = 0, nope = 0, rope_dim = 0;
  bool interleaved = false;
  const float* rope = nullptr;     // [positions, rope_dim]: cos, then sin
  const float* kv_norm = nullptr;  // [rank]
  float eps = 1e-6f;
};
void latent_rope_store(const bf16* kv_a, const bf16* q, const LatentShape& shape, const StepView& step,
                       const TokenView& tokens, FieldPointer latent, DType kv_dtype, bf16* q_absorbed,
                       cudaStream_t stream);

/// out[t, i] = f(gate_up[t, i], gate_up[t, inner + i]): gate_up [tokens, 2 * inner], out [tokens, inner].
void gate_mul(kernels::Gating gating, const bf16* gate_up, int64_t tokens, int64_t inner, bf16* out,
              cudaStream_t stream);

}  // namespace vortex::cuda
