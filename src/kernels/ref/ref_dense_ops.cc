#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/dense_ops.h"
#include "kernels/weight_check.h"
#include "tensor/quant_blocks.h"

namespace vortex::kernels {
namespace {

class RefMatrix final : public Matrix {
 public:
  explicit RefMatrix(const TensorView& source, std::unique_ptr<std::byte[]> memory = nullptr)
      : Matrix(source), memory_(std::move(memory)) {}

 private:
  std::unique_ptr<std::byte[]> memory_;  // of the source, when this owns it
};

void decode_row(const TensorView& matrix, int64_t row, float* out) {
  dequantize(matrix.dtype, matrix.data + row * dtype_bytes(matrix.dtype, matrix.cols()), out, matrix.cols());
}

double dot(const float* a, const float* b, int64_t n) {
  double sum = 0.0;
  for (int64_t i = 0; i < n; ++i) sum += double{a[i]} * double{b[i]};
  return sum;
}

void multiply(const ProductGroup& group, const Product& product) {
  const TensorView& weight = product.weight->source();
  std::vector<float> row(static_cast<size_t>(weight.cols()));
  for (int64_t r = 0; r < weight.rows(); ++r) {
    decode_row(weight, r, row.data());
    for (int64_t t = 0; t < group.tokens; ++t) {
      const int64_t at = group.rows == nullptr ? t : group.rows[t];
      double sum = dot(row.data(), group.x + at * group.x_stride, weight.cols());
      if (product.bias != nullptr) sum += product.bias[r];
      float& out = product.out[t * product.out_stride + r];
      out = static_cast<float>(product.accumulate ? out + sum : sum);
    }
  }
}

void rotate(float& a, float& b, float cos, float sin) {
  const double rotated = double{a} * cos - double{b} * sin;
  b = static_cast<float>(double{b} * cos + double{a} * sin);
  a = static_cast<float>(rotated);
}

void rotate_head(float* head, const float* cos, const float* sin, const RopeAngles& angles) {
  const int pairs = angles.pairs;
  for (int i = 0; i < pairs; ++i) {
    if (angles.interleaved)
      rotate(head[2 * i], head[2 * i + 1], cos[i], sin[i]);
    else
      rotate(head[i], head[i + pairs], cos[i], sin[i]);
  }
}

double gated(Gating gating, double gate, double up) {
  switch (gating) {
    case Gating::kSilu:
      break;
    case Gating::kGeluTanh:
      return 0.5 * gate * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (gate + 0.044715 * gate * gate * gate))) * up;
    case Gating::kClampedSwiglu:
      gate = std::min(gate, 7.0);
      return gate / (1.0 + std::exp(-1.702 * gate)) * (std::clamp(up, -7.0, 7.0) + 1.0);
  }
  return gate / (1.0 + std::exp(-gate)) * up;
}

class RefDenseOps final : public DenseOps {
 public:
  Result<std::unique_ptr<Matrix>> prepare(const TensorView& weight) override {
    VORTEX_RETURN_IF_ERROR(check_weight(weight));
    return std::unique_ptr<Matrix>(std::make_unique<RefMatrix>(weight));
  }

  Result<std::unique_ptr<Matrix>> prepare_owned(const TensorView& weight,
                                                std::unique_ptr<std::byte[]> memory) override {
    VORTEX_RETURN_IF_ERROR(check_weight(weight));
    return std::unique_ptr<Matrix>(std::make_unique<RefMatrix>(weight, std::move(memory)));
  }

  using DenseOps::matmul;
  void matmul(std::span<const ProductGroup> groups) override {
    for (const ProductGroup& group : groups)
      for (const Product& product : group.products) multiply(group, product);
  }

  void embed(const TensorView& table, std::span<const int32_t> ids, float* out) override {
    for (const int32_t id : ids) {
      decode_row(table, id, out);
      out += table.cols();
    }
  }

  void rms_norm(const float* x, int64_t x_stride, const float* weight, float eps, int64_t rows, int64_t cols,
                float* out) override {
    for (int64_t r = 0; r < rows; ++r) {
      const float* in = x + r * x_stride;
      const double scale = 1.0 / std::sqrt(dot(in, in, cols) / static_cast<double>(cols) + double{eps});
      for (int64_t c = 0; c < cols; ++c) out[r * cols + c] = static_cast<float>(in[c] * scale * double{weight[c]});
    }
  }

  void rope(float* x, int64_t tokens, int64_t stride, int heads, int head_dim, const RopeAngles& angles) override {
    for (int64_t t = 0; t < tokens; ++t)
      for (int h = 0; h < heads; ++h)
        rotate_head(x + t * stride + h * head_dim, angles.cos + t * angles.pairs, angles.sin + t * angles.pairs,
                    angles);
  }

  void add_weighted_rows(const float* x, int64_t cols, const int64_t* rows, const float* weights, int64_t tokens,
                         int per_token, float* out) override {
    for (int64_t t = 0; t < tokens; ++t, rows += per_token, weights += per_token, out += cols) {
      for (int64_t c = 0; c < cols; ++c) {
        double sum = out[c];
        for (int i = 0; i < per_token; ++i) sum += double{weights[i]} * x[rows[i] * cols + c];
        out[c] = static_cast<float>(sum);
      }
    }
  }

  void gate_mul(Gating gating, const float* gate, const float* up, int64_t n, float* out) override {
    for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(gated(gating, gate[i], up[i]));
  }
};

}  // namespace

std::unique_ptr<DenseOps> make_ref_dense_ops() { return std::make_unique<RefDenseOps>(); }

}  // namespace vortex::kernels
