// DenseOps: what a transformer layer needs besides attention. One contract, one implementation a backend:
// ref/ (plain loops, the oracle), cpu/ (vectorised, threaded), later cuda/. Activations are float32, row-major
// [tokens, width]; weights stay in their file's type. The caller is one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "tensor/tensor_view.h"

namespace vortex {
class WorkerPool;
}

namespace vortex::kernels {

/// A weight matrix [rows, cols] made ready for products; perhaps repacked. Does not own `source`'s memory, which
/// must outlive it.
class Matrix {
 public:
  virtual ~Matrix() = default;
  int64_t rows() const { return source_.shape[0]; }
  int64_t cols() const { return source_.shape[1]; }
  const TensorView& source() const { return source_; }

 protected:
  explicit Matrix(const TensorView& source) : source_(source) {}

 private:
  TensorView source_;
};

/// One product of a call that shares its input: out[t, r] = sum_c weight[r, c] * x[t, c] + bias[r].
struct Product {
  const Matrix* weight = nullptr;
  float* out = nullptr;  // [tokens, weight->rows()], rows `out_stride` floats apart
  int64_t out_stride = 0;
  const float* bias = nullptr;  // [rows] or null
  bool accumulate = false;      // add to out (a residual) instead of overwriting it
};

/// cos and sin of one step's positions, shared by all layers: [tokens, pairs] each.
struct RopeAngles {
  const float* cos = nullptr;
  const float* sin = nullptr;
  int pairs = 0;             // rotary_dim / 2
  bool interleaved = false;  // pairs (2i, 2i + 1); else (i, i + pairs)
};

class DenseOps {
 public:
  virtual ~DenseOps() = default;

  /// Checks type and shape ([rows, cols], cols a multiple of the block) and prepares a matrix.
  /// Unsupported types are an error that names the type.
  virtual Result<std::unique_ptr<Matrix>> prepare(const TensorView& weight) = 0;

  /// All products of one input x [tokens, cols]; every weight has the same cols. Quantised weights may quantise x to
  /// 8 bits per 32 elements (as llama.cpp does); float weights use float32 sums.
  virtual void matmul(const float* x, int64_t tokens, std::span<const Product> products) = 0;

  /// out[i] = row ids[i] of the table, decoded to float32. ids are in range (checked by the caller).
  virtual void embed(const TensorView& table, std::span<const int32_t> ids, float* out) = 0;

  /// out[r] = x[r] / sqrt(mean(x[r]^2) + eps) * weight for rows r of `cols` floats, input rows `x_stride` floats apart,
  /// output rows `cols`. out == x is allowed when x_stride == cols.
  virtual void rms_norm(const float* x, int64_t x_stride, const float* weight, float eps, int64_t rows, int64_t cols,
                        float* out) = 0;

  /// Rotates `heads` heads of `head_dim` floats of each token in place; tokens are `stride` floats apart.
  virtual void rope(float* x, int64_t tokens, int64_t stride, int heads, int head_dim, const RopeAngles& angles) = 0;

  /// out[i] = silu(gate[i]) * up[i], silu(x) = x / (1 + exp(-x)). out may be gate.
  virtual void silu_mul(const float* gate, const float* up, int64_t n, float* out) = 0;
};

/// Plain loops in float32, sums in double: slow, obvious, the oracle of the others.
std::unique_ptr<DenseOps> make_ref_dense_ops();

/// Vectorised for best_isa() of base/cpu_features.h, which must be ok: a program checks it when it starts. Threaded on
/// `pool`, which must outlive it. A token's result is bit for bit the same alone, in any batch and on any number of
/// threads. prepare() copies the weights (cpu/README.md): only embed() reads the source afterwards.
std::unique_ptr<DenseOps> make_cpu_dense_ops(WorkerPool* pool);

}  // namespace vortex::kernels
