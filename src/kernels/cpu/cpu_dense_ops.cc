#include "kernels/cpu/cpu_dense_ops.h"

#include <algorithm>

#include "kernels/cpu/cpu_matrix.h"
#include "kernels/cpu/grouped_products.h"
#include "kernels/cpu/panel_arena.h"
#include "kernels/weight_check.h"
#include "tensor/quant_blocks.h"

namespace vortex::kernels {
namespace {

using cpu::CpuMatrix;
using cpu::IsaKernels;
using cpu::kWorthSplitting;

class CpuDenseOps final : public DenseOps {
 public:
  CpuDenseOps(WorkerPool* pool, const IsaKernels& kernels) : pool_(pool), kernels_(kernels), products_(pool, kernels) {}

  Result<std::unique_ptr<Matrix>> prepare(const TensorView& weight) override {
    VORTEX_RETURN_IF_ERROR(check_weight(weight));
    return std::unique_ptr<Matrix>(std::make_unique<CpuMatrix>(weight, kernels_, &arena_, pool_));
  }

  Result<std::unique_ptr<Matrix>> prepare_owned(const TensorView& weight, std::unique_ptr<std::byte[]>) override {
    return prepare(weight);  // which copies
  }

  using DenseOps::matmul;
  void matmul(std::span<const ProductGroup> groups) override { products_.run(groups); }

  void embed(const TensorView& table, std::span<const int32_t> ids, float* out) override {
    const int64_t cols = table.cols(), row_bytes = dtype_bytes(table.dtype, cols);
    split_rows(static_cast<int64_t>(ids.size()), cols, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        dequantize(table.dtype, table.data + ids[static_cast<size_t>(i)] * row_bytes, out + i * cols, cols);
    });
  }

  void rms_norm(const float* x, int64_t x_stride, const float* weight, float eps, int64_t rows, int64_t cols,
                float* out) override {
    split_rows(rows, cols, [&](int64_t begin, int64_t end) {
      kernels_.rms_norm(x + begin * x_stride, x_stride, weight, eps, end - begin, cols, out + begin * cols);
    });
  }

  void rope(float* x, int64_t tokens, int64_t stride, int heads, int head_dim, const RopeAngles& angles) override {
    split_rows(tokens, int64_t{heads} * head_dim, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t)
        kernels_.rope(x + t * stride, heads, head_dim, angles.cos + t * angles.pairs, angles.sin + t * angles.pairs,
                      angles.pairs, angles.interleaved);
    });
  }

  void add_weighted_rows(const float* x, int64_t cols, const int64_t* rows, const float* weights, int64_t tokens,
                         int per_token, float* out) override {
    split_rows(tokens, cols * per_token, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t)
        kernels_.add_weighted_rows(x, cols, rows + t * per_token, weights + t * per_token, per_token, out + t * cols);
    });
  }

  void gate_mul(Gating gating, const float* gate, const float* up, int64_t n, float* out) override {
    const cpu::GateKernel kernel = kernels_.gate_mul[static_cast<size_t>(gating)];
    split_rows((n + kGateRow - 1) / kGateRow, kGateRow, [&](int64_t begin, int64_t end) {
      const int64_t at = begin * kGateRow;
      kernel(gate + at, up + at, std::min(n, end * kGateRow) - at, out + at);
    });
  }

 private:
  static constexpr int64_t kGateRow = 1024;

  /// body(begin, end) over rows of `cols` elements, on several threads when that pays.
  template <class Body>
  void split_rows(int64_t rows, int64_t cols, Body body) {
    if (rows * cols < kWorthSplitting) return body(0, rows);
    pool_->parallel_ranges(rows, 1, [&](int64_t begin, int64_t end, int) { body(begin, end); });
  }

  WorkerPool* pool_;
  const IsaKernels& kernels_;
  cpu::PanelArena arena_;
  cpu::GroupedProducts products_;
};

}  // namespace

std::unique_ptr<DenseOps> make_cpu_dense_ops(WorkerPool* pool, Isa isa) {
  return std::make_unique<CpuDenseOps>(pool, cpu::isa_kernels(isa));
}

std::unique_ptr<DenseOps> make_cpu_dense_ops(WorkerPool* pool) { return make_cpu_dense_ops(pool, best_isa().value()); }

}  // namespace vortex::kernels
