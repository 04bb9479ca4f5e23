// The oracle: every product and sum in double, one token at a time, no reuse.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "attention/attention.h"
#include "base/check.h"
#include "tensor/half.h"

namespace vortex::attention {
namespace {

struct TokenPlace {
  PageId page;
  int row;
};

std::byte* element(const FieldView& field, TokenPlace at, int col) {
  return field.page(at.page) + dtype_bytes(field.dtype, int64_t{at.row} * field.cols + col);
}

double read(const FieldView& field, TokenPlace at, int col) {
  const std::byte* p = element(field, at, col);
  if (field.dtype == DType::kBF16) {
    uint16_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return bf16_to_f32(bits);
  }
  float value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

void write(const FieldView& field, TokenPlace at, int col, float value) {
  std::byte* p = element(field, at, col);
  if (field.dtype == DType::kBF16) {
    const uint16_t bits = f32_to_bf16(value);
    std::memcpy(p, &bits, sizeof bits);
  } else {
    std::memcpy(p, &value, sizeof value);
  }
}

void check_fields(const PageView& view) {
  VORTEX_CHECK(view.fields.size() >= 2, "attention needs fields k and v, got {}", view.fields.size());
  for (const FieldView& field : view.fields.first(2))
    VORTEX_CHECK(field.dtype == DType::kBF16 || field.dtype == DType::kF32, "dtype {}", dtype_info(field.dtype).name);
}

TokenPlace place_of(const PageView& view, const TokenSlice& slice, int64_t position, int head) {
  return {view.page_id(slice.table, position / view.page_tokens, head), static_cast<int>(position % view.page_tokens)};
}

double score(const FieldView& k, TokenPlace at, const float* q, float scale) {
  double dot = 0.0;
  for (int d = 0; d < k.cols; ++d) dot += q[d] * read(k, at, d);
  return dot * scale;
}

void attend(const PageView& view, const std::vector<TokenPlace>& tokens, const float* q, float scale, float* out) {
  const FieldView& k = view.fields[0];
  const FieldView& v = view.fields[1];
  std::vector<double> weights;
  for (const TokenPlace at : tokens) weights.push_back(score(k, at, q, scale));
  const double top = *std::max_element(weights.begin(), weights.end());
  double total = 0.0;
  for (double& w : weights) total += w = std::exp(w - top);
  for (int d = 0; d < v.cols; ++d) {
    double sum = 0.0;
    for (size_t t = 0; t < tokens.size(); ++t) sum += weights[t] * read(v, tokens[t], d);
    out[d] = static_cast<float>(sum / total);
  }
}

std::vector<TokenPlace> listed_tokens(const PageView& view, const PageList& list, int row) {
  std::vector<TokenPlace> tokens;
  const auto pages = list.row(row);
  for (size_t i = 0; i < pages.size(); ++i) {
    const bool last = i + 1 == pages.size();
    const int count = last ? list.last_tokens[static_cast<size_t>(row)] : view.page_tokens;
    for (int t = 0; t < count; ++t) tokens.push_back({pages[i], t});
  }
  return tokens;
}

class RefAttentionOps final : public AttentionOps {
 public:
  void store(const PageView& view, const TokenSlice& slice, const float* k, const float* v, int64_t stride) override {
    check_fields(view);
    const int dim = view.fields[0].cols;
    for (int64_t i = 0; i < slice.count; ++i) {
      for (int h = 0; h < view.kv_heads; ++h) {
        const TokenPlace at = place_of(view, slice, slice.first + i, h);
        for (int d = 0; d < dim; ++d) {
          write(view.fields[0], at, d, k[i * stride + h * dim + d]);
          write(view.fields[1], at, d, v[i * stride + h * dim + d]);
        }
      }
    }
  }

  void prefill(const PageView& view, const TokenSlice& slice, const float* q, int64_t q_stride, int heads, float scale,
               float* out, int64_t out_stride) override {
    check_fields(view);
    const int dim = view.fields[0].cols;
    const int group = heads / view.kv_heads;
    for (int h = 0; h < heads; ++h) {
      std::vector<TokenPlace> seen;
      for (int64_t p = 0; p < slice.first + slice.count; ++p) {
        seen.push_back(place_of(view, slice, p, h / group));
        const int64_t i = p - slice.first;
        if (i >= 0) attend(view, seen, q + i * q_stride + h * dim, scale, out + i * out_stride + h * dim);
      }
    }
  }

  void decode(const PageView& view, const PageList& list, const float* q, int group, float scale, float* out) override {
    check_fields(view);
    const int dim = view.fields[0].cols;
    for (int row = 0; row < list.rows(); ++row) {
      const std::vector<TokenPlace> tokens = listed_tokens(view, list, row);
      for (int g = 0; g < group; ++g) {
        const int64_t at = (int64_t{row} * group + g) * dim;
        attend(view, tokens, q + at, scale, out + at);
      }
    }
  }
};

}  // namespace

std::unique_ptr<AttentionOps> make_ref_attention_ops() { return std::make_unique<RefAttentionOps>(); }

}  // namespace vortex::attention
