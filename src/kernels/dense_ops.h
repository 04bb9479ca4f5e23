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

/// Products of one input x [.., cols], rows `x_stride` floats apart. Every weight has the same cols.
struct ProductGroup {
  const float* x = nullptr;
  int64_t x_stride = 0;
  int64_t tokens = 0;
  std::span<const Product> products;
  const int64_t* rows = nullptr;  // [tokens]: the row of x that is a token's input; null: token t is row t
};

/// cos and sin of one step's positions, shared by all layers: [tokens, pairs] each.
struct RopeAngles {
  const float* cos = nullptr;
  const float* sin = nullptr;
  int pairs = 0;             // rotary_dim / 2
  bool interleaved = false;  // pairs (2i, 2i + 1); else (i, i + pairs)
};

/// How a gated network joins its two halves.
enum class Gating : uint8_t {
  kSilu,           // silu(gate) * up, silu(x) = x / (1 + exp(-x))
  kGeluTanh,       // gelu(gate) * up, gelu(x) = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))
  kClampedSwiglu,  // g / (1 + exp(-1.702 g)) * (u + 1), g = min(gate, 7), u = clamp(up, -7, 7) (gpt-oss)
};

class DenseOps {
 public:
  virtual ~DenseOps() = default;

  /// Checks type and shape ([rows, cols], cols a multiple of the block) and prepares a matrix.
  /// Unsupported types are an error that names the type.
  virtual Result<std::unique_ptr<Matrix>> prepare(const TensorView& weight) = 0;

  /// The same for a weight that was made at load: `memory`, in which `weight` lies, is kept only as long as needed.
  virtual Result<std::unique_ptr<Matrix>> prepare_owned(const TensorView& weight,
                                                        std::unique_ptr<std::byte[]> memory) = 0;

  /// All products of all groups; no output may overlap another. Groups without tokens cost nothing. Quantised weights
  /// may quantise x to 8 bits per 32 elements (as llama.cpp does); float weights use float32 sums.
  virtual void matmul(std::span<const ProductGroup> groups) = 0;

  /// The products of one contiguous input x [tokens, cols].
  void matmul(const float* x, int64_t tokens, std::span<const Product> products) {
    if (products.empty()) return;
    const ProductGroup group{x, products[0].weight->cols(), tokens, products};
    matmul({&group, 1});
  }

  /// out[i] = row ids[i] of the table, decoded to float32. ids are in range (checked by the caller).
  virtual void embed(const TensorView& table, std::span<const int32_t> ids, float* out) = 0;

  /// out[r] = x[r] / sqrt(mean(x[r]^2) + eps) * weight for rows r of `cols` floats, input rows `x_stride` floats apart,
  /// output rows `cols`. out == x is allowed when x_stride == cols.
  virtual void rms_norm(const float* x, int64_t x_stride, const float* weight, float eps, int64_t rows, int64_t cols,
                        float* out) = 0;

  /// Rotates `heads` heads of `head_dim` floats of each token in place; tokens are `stride` floats apart.
  virtual void rope(float* x, int64_t tokens, int64_t stride, int heads, int head_dim, const RopeAngles& angles) = 0;

  /// out[t] += sum_i weights[t, i] * x[rows[t, i]], i ascending: rows of x and out have `cols` floats, weights and rows
  /// are [tokens, per_token].
  virtual void add_weighted_rows(const float* x, int64_t cols, const int64_t* rows, const float* weights,
                                 int64_t tokens, int per_token, float* out) = 0;

  /// out[i] = f(gate[i], up[i]), out may be gate. f by `gating`:
  virtual void gate_mul(Gating gating, const float* gate, const float* up, int64_t n, float* out) = 0;
};

/// Plain loops in float32, sums in double: slow, obvious, the oracle of the others.
std::unique_ptr<DenseOps> make_ref_dense_ops();

/// Vectorised for best_isa() of base/cpu_features.h, which must be ok: a program checks it when it starts. Threaded on
/// `pool`, which must outlive it. A token's result is bit for bit the same alone, in any batch and on any number of
/// threads. prepare() copies the weights (cpu/README.md): only embed() reads the source afterwards.
std::unique_ptr<DenseOps> make_cpu_dense_ops(WorkerPool* pool);

}  // namespace vortex::kernels
