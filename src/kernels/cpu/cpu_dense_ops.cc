#include "kernels/cpu/cpu_dense_ops.h"

#include <algorithm>
#include <vector>

#include "kernels/cpu/cpu_matrix.h"
#include "kernels/cpu/panel_arena.h"
#include "kernels/cpu/panel_layout.h"
#include "kernels/cpu/work_split.h"
#include "kernels/weight_check.h"
#include "tensor/quant_blocks.h"

namespace vortex::kernels {
namespace {

using cpu::CpuMatrix;
using cpu::IsaKernels;
using cpu::PanelTask;
using cpu::QuantizedRows;

// Below this many elements (or bytes of weights read) a fork-join costs more than a second thread saves.
constexpr int64_t kWorthSplitting = 16 * 1024;
// Float activations of one pass over the weights: they stay in the second-level cache.
constexpr int64_t kActivationBytes = 192 * 1024;
constexpr int64_t kTokenAlign = 24;  // a multiple of every float kernel's token block

const CpuMatrix& matrix_of(const Product& product) { return static_cast<const CpuMatrix&>(*product.weight); }

bool any_quantized(std::span<const Product> products) {
  return std::any_of(products.begin(), products.end(),
                     [](const Product& p) { return is_quantized(matrix_of(p).dtype()); });
}

int64_t token_chunk(int64_t cols, bool quantized) {
  if (quantized) return cpu::kTokenChunk;
  const int64_t fitting = kActivationBytes / (4 * cols);
  return std::max(kTokenAlign, fitting / kTokenAlign * kTokenAlign);
}

/// The task from `token` on; for block types a multiple of kTokenChunk.
PanelTask from_token(PanelTask task, int64_t token) {
  task.x += token * task.cols;
  task.out += token * task.out_stride;
  if (task.quantized.codes == nullptr) return task;
  const int64_t groups = task.cols / cpu::kGroupCols;
  task.quantized.codes += token * task.cols;
  task.quantized.scales += token * groups;
  task.quantized.sums += token * groups;
  return task;
}

class CpuDenseOps final : public DenseOps {
 public:
  CpuDenseOps(WorkerPool* pool, const IsaKernels& kernels) : pool_(pool), kernels_(kernels) {}

  Result<std::unique_ptr<Matrix>> prepare(const TensorView& weight) override {
    VORTEX_RETURN_IF_ERROR(check_weight(weight));
    return std::unique_ptr<Matrix>(std::make_unique<CpuMatrix>(weight, kernels_, &arena_, pool_));
  }

  Result<std::unique_ptr<Matrix>> prepare_owned(const TensorView& weight, std::unique_ptr<std::byte[]>) override {
    return prepare(weight);  // which copies
  }

  using DenseOps::matmul;
  void matmul(std::span<const ProductGroup> groups) override {
    for (const ProductGroup& group : groups) {
      VORTEX_CHECK(group.tokens < 2 || group.x_stride == group.products[0].weight->cols(), "strided input");
      multiply_group(group.x, group.tokens, group.products);
    }
  }

  void multiply_group(const float* x, int64_t tokens, std::span<const Product> products) {
    if (tokens == 0 || products.empty()) return;
    const int64_t cols = products[0].weight->cols();
    const QuantizedRows quantized = any_quantized(products) ? quantize(x, tokens, cols) : QuantizedRows{};
    std::vector<cpu::PanelSpan>& spans = spans_;
    spans.clear();
    for (const Product& product : products) {
      VORTEX_CHECK(product.weight->cols() == cols, "{} and {} columns in one call", product.weight->cols(), cols);
      spans.push_back({matrix_of(product).panels(), matrix_of(product).panel_bytes()});
    }
    const cpu::WorkSplit split(spans, tokens, pool_->size());
    run(split.cost() > kWorthSplitting, split.parts(), [&](int part) {
      const cpu::TokenRange range = split.token_range(part);
      for (size_t p = 0; p < products.size(); ++p)
        multiply(products[p], x, quantized, split.panel_range(part, p), range);
    });
  }

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

  void gate_mul(Gating gating, const float* gate, const float* up, int64_t n, float* out) override {
    VORTEX_CHECK(gating == Gating::kSilu, "no such gating");
    split_rows((n + kSiluRow - 1) / kSiluRow, kSiluRow, [&](int64_t begin, int64_t end) {
      const int64_t at = begin * kSiluRow;
      kernels_.silu_mul(gate + at, up + at, std::min(n, end * kSiluRow) - at, out + at);
    });
  }

 private:
  static constexpr int64_t kSiluRow = 1024;

  template <class Body>
  void run(bool worth, int parts, Body body) {
    if (worth) return pool_->run([&](int thread) { body(thread); });
    for (int part = 0; part < parts; ++part) body(part);
  }

  /// body(begin, end) over rows of `cols` elements, on several threads when that pays.
  template <class Body>
  void split_rows(int64_t rows, int64_t cols, Body body) {
    if (rows * cols < kWorthSplitting) return body(0, rows);
    pool_->parallel_ranges(rows, 1, [&](int64_t begin, int64_t end, int) { body(begin, end); });
  }

  QuantizedRows quantize(const float* x, int64_t tokens, int64_t cols) {
    const int64_t groups = cols / cpu::kGroupCols;
    codes_.resize(static_cast<size_t>(tokens * cols));
    scales_.resize(static_cast<size_t>(tokens * groups));
    sums_.resize(static_cast<size_t>(tokens * groups));
    const QuantizedRows all{codes_.data(), scales_.data(), sums_.data()};
    const int64_t chunks = (tokens + cpu::kTokenChunk - 1) / cpu::kTokenChunk;
    split_rows(chunks, cols * cpu::kTokenChunk, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin * cpu::kTokenChunk; t < std::min(tokens, end * cpu::kTokenChunk); t += cpu::kTokenChunk)
        kernels_.quantize_rows(x + t * cols, std::min(cpu::kTokenChunk, tokens - t), cols,
                               {all.codes + t * cols, all.scales + t * groups, all.sums + t * groups});
    });
    return all;
  }

  void multiply(const Product& product, const float* x, const QuantizedRows& quantized, cpu::PanelRange panels,
                cpu::TokenRange tokens) {
    const CpuMatrix& matrix = matrix_of(product);
    const int64_t first_row = panels.begin * matrix.panel_rows();
    if (panels.begin >= panels.end) return;
    PanelTask task;
    task.panels = matrix.panel(panels.begin);
    task.panel_bytes = matrix.panel_bytes();
    task.rows = std::min(matrix.rows(), panels.end * matrix.panel_rows()) - first_row;
    task.cols = matrix.cols();
    task.x = x;
    task.quantized = quantized;
    task.out = product.out + first_row;
    task.out_stride = product.out_stride;
    task.bias = product.bias == nullptr ? nullptr : product.bias + first_row;
    task.accumulate = product.accumulate;
    const int64_t chunk = token_chunk(task.cols, is_quantized(matrix.dtype()));
    for (int64_t t = tokens.begin; t < tokens.end; t += chunk) {
      PanelTask part = from_token(task, t);
      part.tokens = std::min(chunk, tokens.end - t);
      matrix.kernel()(part);
    }
  }

  WorkerPool* pool_;
  const IsaKernels& kernels_;
  cpu::PanelArena arena_;
  std::vector<int8_t> codes_;
  std::vector<float> scales_;
  std::vector<float> sums_;
  std::vector<cpu::PanelSpan> spans_;
};

}  // namespace

std::unique_ptr<DenseOps> make_cpu_dense_ops(WorkerPool* pool, Isa isa) {
  return std::make_unique<CpuDenseOps>(pool, cpu::isa_kernels(isa));
}

std::unique_ptr<DenseOps> make_cpu_dense_ops(WorkerPool* pool) { return make_cpu_dense_ops(pool, best_isa().value()); }

}  // namespace vortex::kernels
