// For tests and benchmarks of attention: a pool of pages in shuffled order filled with NaN, and the formula in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include "attention/attention.h"
#include "tensor/codes.h"
#include "tensor/half.h"
#include "tensor/paged.h"

namespace vortex::attention {

struct PoolShape {
  int kv_heads = 2;
  int group = 4;
  int head_dim = 64;
  int page_tokens = 16;
  int pages_per_slab = 1;
  DType dtype = DType::kBF16;
  int latent_rank = 0;  // the pages hold latents of head_dim columns

  int heads() const { return kv_heads * group; }
  int64_t q_stride() const { return int64_t{heads()} * head_dim; }
  int64_t kv_stride() const { return int64_t{kv_heads} * head_dim; }
  int value_dim() const { return latent_rank > 0 ? latent_rank : head_dim; }
  int64_t out_stride() const { return int64_t{heads()} * value_dim(); }
  float scale() const { return 1.0f / std::sqrt(static_cast<float>(head_dim)); }
  AttentionShape attention() const { return {.group = group, .scale = scale(), .latent_rank = latent_rank}; }
};

inline std::vector<float> random_floats(int64_t n, uint32_t seed, float sigma = 1.0f) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0.0f, sigma);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& x : values) x = normal(rng);
  return values;
}

/// Memory of one layer's k and v, or latents, for sequences of the given lengths, slabs handed out in random order, or
/// one after the other where the seed is 0.
/// Whatever nobody stored is NaN, so that a read of it shows.
class TestPool {
 public:
  TestPool(const PoolShape& shape, std::vector<int64_t> lengths, uint32_t seed = 1) : shape_(shape), lengths_(lengths) {
    const int slab_tokens = shape.page_tokens * shape.pages_per_slab;
    int64_t slabs = 0;
    for (int64_t n : lengths) slabs += (n + slab_tokens - 1) / slab_tokens;
    std::vector<SlabId> ids(static_cast<size_t>(slabs));
    std::iota(ids.begin(), ids.end(), 0);
    if (seed != 0) std::shuffle(ids.begin(), ids.end(), std::mt19937(seed));
    auto next = ids.begin();
    for (int64_t n : lengths) {
      const auto end = next + (n + slab_tokens - 1) / slab_tokens;
      tables_.emplace_back(next, end);
      next = end;
    }
    const int64_t page_bytes = FieldSpec{"", shape.page_tokens, shape.head_dim, shape.dtype}.page_bytes();
    for (auto& memory : std::span(memory_).first(shape.latent_rank > 0 ? 1 : 2)) {
      memory.assign(static_cast<size_t>(slabs * shape.kv_heads * shape.pages_per_slab * page_bytes), std::byte{0xff});
      fields_.push_back({memory.data(), page_bytes, shape.page_tokens, shape.head_dim, shape.dtype});
    }
    view_ = {fields_, shape.kv_heads, shape.page_tokens, slab_tokens};
  }
  TestPool(const TestPool&) = delete;
  TestPool& operator=(const TestPool&) = delete;

  const PageView& view() const { return view_; }
  const std::vector<SlabId>& table(size_t sequence) const { return tables_[sequence]; }

  /// One decode step of all sequences at their full length.
  StepPlan step() const {
    StepPlan plan;
    plan.kv_heads = shape_.kv_heads;
    for (size_t s = 0; s < lengths_.size(); ++s) {
      const auto tokens = static_cast<int32_t>(lengths_[s]);
      const int32_t pages = (tokens + shape_.page_tokens - 1) / shape_.page_tokens;
      plan.sequences.push_back({tables_[s], tokens, pages, pages, pages, tokens - (pages - 1) * shape_.page_tokens});
    }
    return plan;
  }

  PageList all_pages() const {
    PageList list;
    list_all_pages(step(), view_, &list);
    return list;
  }

 private:
  PoolShape shape_;
  std::vector<int64_t> lengths_;
  std::vector<std::vector<SlabId>> tables_;
  std::vector<std::byte> memory_[2];
  std::vector<FieldView> fields_;
  PageView view_;
};

/// What a field of this dtype keeps of rows of `cols` numbers.
inline std::vector<float> as_stored(DType dtype, std::vector<float> rows, int cols) {
  if (dtype == DType::kBF16)
    for (float& x : rows) x = round_to_bf16(x);
  if (dtype != DType::kCode8) return rows;
  std::vector<std::byte> row(static_cast<size_t>(code_row_bytes(cols)));
  for (auto at = rows.begin(); at != rows.end(); at += cols) {
    encode_row(&*at, cols, row.data());
    decode_row(row.data(), cols, cols, &*at);
  }
  return rows;
}

/// A query of n numbers as decode multiplies it with keys of this dtype.
inline std::vector<float> as_decoded(DType dtype, const float* q, int n) {
  std::vector<float> out(q, q + n);
  if (dtype != DType::kCode8) return out;
  std::vector<int16_t> codes(out.size());
  const float step = round_query_row_wide(q, n, codes.data());
  for (size_t d = 0; d < out.size(); ++d) out[d] = step * static_cast<float>(codes[d]);
  return out;
}

struct Expected {
  std::vector<double> out;  // [head_dim]
  double tolerance = 0.0;   // for any float32 implementation, see direct_attention()
};

/// softmax(scale q K^T) V in double over the rows of k and v named by `tokens`; k and v are [token, stride]. A sink is
/// one more logit, without a value.
/// Tolerance: a float32 dot product errs by at most head_dim eps |q| |k|, which moves each weight by that much
/// relatively, up and down; exp and the sums err by a few dozen eps more. All times the largest |v|.
inline Expected direct_attention(const float* q, const float* k, const float* v, int64_t stride,
                                 const std::vector<int64_t>& tokens, int head_dim, float scale,
                                 const float* sink = nullptr) {
  std::vector<double> weights;
  double q_norm = 0.0, k_norm = 0.0, v_max = 0.0;
  for (int d = 0; d < head_dim; ++d) q_norm += double{q[d]} * q[d];
  for (const int64_t t : tokens) {
    double dot = 0.0, square = 0.0;
    for (int d = 0; d < head_dim; ++d) {
      const double x = k[t * stride + d];
      dot += q[d] * x;
      square += x * x;
    }
    k_norm = std::max(k_norm, square);
    weights.push_back(dot * scale);
  }
  double top = *std::max_element(weights.begin(), weights.end());
  if (sink != nullptr) top = std::max(top, double{*sink});
  double total = sink != nullptr ? std::exp(*sink - top) : 0.0;
  for (double& w : weights) total += w = std::exp(w - top);
  Expected expected;
  for (int d = 0; d < head_dim; ++d) {
    double sum = 0.0;
    for (size_t i = 0; i < tokens.size(); ++i) {
      const double x = v[tokens[i] * stride + d];
      sum += weights[i] * x;
      v_max = std::max(v_max, std::abs(x));
    }
    expected.out.push_back(sum / total);
  }
  constexpr double kEps = std::numeric_limits<float>::epsilon() / 2;
  expected.tolerance = (2.0 * head_dim * kEps * std::sqrt(q_norm * k_norm) * scale + 64 * kEps) * v_max;
  return expected;
}

}  // namespace vortex::attention
