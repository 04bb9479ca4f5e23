// The oracle: every product and sum in double, one token at a time, no reuse.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "attention/attention.h"
#include "base/check.h"
#include "tensor/codes.h"
#include "tensor/half.h"
#include "tensor/quant_blocks.h"

namespace vortex::attention {
namespace {

struct TokenPlace {
  PageId page;
  int row;
};

std::byte* token_row(const FieldView& field, TokenPlace at) {
  return field.page(at.page) + field.page_bytes / field.rows * at.row;
}

std::vector<float> read_row(const FieldView& field, TokenPlace at) {
  const std::byte* row = token_row(field, at);
  std::vector<float> out(static_cast<size_t>(field.cols));
  if (field.dtype == DType::kCode8)
    decode_row(row, field.cols, field.cols, out.data());
  else
    dequantize(field.dtype, row, out.data(), field.cols);
  return out;
}

void write_row(const FieldView& field, TokenPlace at, const float* values) {
  std::byte* row = token_row(field, at);
  if (field.dtype == DType::kCode8) return encode_row(values, field.cols, row);
  if (field.dtype == DType::kF32) {
    std::memcpy(row, values, static_cast<size_t>(field.cols) * sizeof(float));
    return;
  }
  for (int d = 0; d < field.cols; ++d) {
    const uint16_t bits = f32_to_bf16(values[d]);
    std::memcpy(row + 2 * d, &bits, sizeof bits);
  }
}

void check_fields(const PageView& view, const AttentionShape& shape) {
  const size_t needed = shape.latent_rank > 0 ? 1 : 2;
  VORTEX_CHECK(view.fields.size() >= needed, "attention needs {} fields, got {}", needed, view.fields.size());
  for (const FieldView& field : view.fields.first(needed))
    VORTEX_CHECK(field.dtype == DType::kBF16 || field.dtype == DType::kF32 || field.dtype == DType::kCode8, "dtype {}",
                 dtype_info(field.dtype).name);
}

/// A query as decode multiplies it with keys of this type.
std::vector<float> decode_query(DType keys, const float* q, int n) {
  std::vector<float> out(q, q + n);
  if (keys != DType::kCode8) return out;
  std::vector<int16_t> codes(out.size());
  const float step = round_query_row_wide(q, n, codes.data());
  for (size_t d = 0; d < out.size(); ++d) out[d] = step * static_cast<float>(codes[d]);
  return out;
}

TokenPlace place_of(const PageView& view, const TokenSlice& slice, int64_t position, int head) {
  return {view.page_id(slice.table, position / view.page_tokens, head), static_cast<int>(position % view.page_tokens)};
}

/// What one query sees of one token.
struct KeyValue {
  std::vector<double> key, value;
};

std::vector<double> read_columns(const FieldView& field, TokenPlace at, int begin, int end) {
  const std::vector<float> row = read_row(field, at);
  return {row.begin() + begin, row.begin() + end};
}

KeyValue token_at(const PageView& view, const AttentionShape& shape, TokenPlace at) {
  const FieldView& k = view.fields[0];
  const FieldView& v = shape.latent_rank > 0 ? k : view.fields[1];
  return {read_columns(k, at, 0, k.cols), read_columns(v, at, 0, shape.latent_rank > 0 ? shape.latent_rank : v.cols)};
}

/// A sink is one more logit, whose token has no value.
void attend(std::span<const KeyValue> tokens, const float* q, float scale, const float* sink, float* out) {
  std::vector<double> weights;
  for (const KeyValue& token : tokens) {
    double dot = 0.0;
    for (size_t d = 0; d < token.key.size(); ++d) dot += q[d] * token.key[d];
    weights.push_back(dot * scale);
  }
  double top = *std::max_element(weights.begin(), weights.end());
  if (sink != nullptr) top = std::max<double>(top, *sink);
  double total = sink != nullptr ? std::exp(*sink - top) : 0.0;
  for (double& w : weights) total += w = std::exp(w - top);
  for (size_t d = 0; d < tokens[0].value.size(); ++d) {
    double sum = 0.0;
    for (size_t t = 0; t < tokens.size(); ++t) sum += weights[t] * tokens[t].value[d];
    out[d] = static_cast<float>(sum / total);
  }
}

const float* sink_of(const AttentionShape& shape, int head) {
  return shape.sinks == nullptr ? nullptr : shape.sinks + head;
}

/// The tokens a query at the end of `seen` may see.
std::span<const KeyValue> within_window(std::span<const KeyValue> seen, const AttentionShape& shape) {
  return shape.window > 0 && seen.size() > static_cast<size_t>(shape.window)
             ? seen.last(static_cast<size_t>(shape.window))
             : seen;
}

std::vector<TokenPlace> listed_tokens(const PageView& view, const PageList& list, int row) {
  std::vector<TokenPlace> tokens;
  const auto pages = list.row(row);
  for (size_t i = 0; i < pages.size(); ++i) {
    const bool last = i + 1 == pages.size();
    const int end = last ? list.last_tokens[static_cast<size_t>(row)] : view.page_tokens;
    const int begin = i == 0 && !list.skip_tokens.empty() ? list.skip_tokens[static_cast<size_t>(row)] : 0;
    for (int t = begin; t < end; ++t) tokens.push_back({pages[i], t});
  }
  return tokens;
}

class RefAttentionOps final : public AttentionOps {
 public:
  void store(const PageView& view, const TokenSlice& slice, const float* k, const float* v, int64_t stride) override {
    check_fields(view, {.latent_rank = v == nullptr ? 1 : 0});
    const int dim = view.fields[0].cols;
    for (int64_t i = 0; i < slice.count; ++i) {
      for (int h = 0; h < view.kv_heads; ++h) {
        const TokenPlace at = place_of(view, slice, slice.first + i, h);
        write_row(view.fields[0], at, k + i * stride + h * dim);
        if (v != nullptr) write_row(view.fields[1], at, v + i * stride + h * dim);
      }
    }
  }

  void load(const PageView& view, const TokenSlice& slice, int cols, float* out) override {
    for (int64_t i = 0; i < slice.count; ++i) {
      const TokenPlace at = place_of(view, slice, slice.first + i, 0);
      out = std::copy_n(read_row(view.fields[0], at).begin(), cols, out);
    }
  }

  void prefill(const PageView& view, const TokenSlice& slice, const AttentionShape& shape, const float* q,
               int64_t q_stride, float* out, int64_t out_stride) override {
    check_fields(view, shape);
    const int dim = view.fields[0].cols;
    const int value_dim = shape.latent_rank > 0 ? shape.latent_rank : view.fields[1].cols;
    for (int h = 0; h < view.kv_heads * shape.group; ++h) {
      std::vector<KeyValue> seen;
      for (int64_t p = 0; p < slice.first + slice.count; ++p) {
        seen.push_back(token_at(view, shape, place_of(view, slice, p, h / shape.group)));
        const int64_t i = p - slice.first;
        if (i < 0) continue;
        attend(within_window(seen, shape), q + i * q_stride + int64_t{h} * dim, shape.scale, sink_of(shape, h),
               out + i * out_stride + int64_t{h} * value_dim);
      }
    }
  }

  void prefill_expanded(const PageView& view, const TokenSlice& slice, const AttentionShape& shape,
                        const ExpandedHeads& expanded, const float* q, int64_t q_stride, float* out,
                        int64_t out_stride) override {
    check_fields(view, shape);
    const FieldView& latent = view.fields[0];
    const int dim = expanded.nope + latent.cols - shape.latent_rank;
    for (int h = 0; h < expanded.heads; ++h) {
      std::vector<KeyValue> seen;
      for (int64_t p = 0; p < slice.first + slice.count; ++p) {
        const float* made = expanded.data + p * expanded.stride + int64_t{h} * (expanded.nope + expanded.v_dim);
        KeyValue& token = seen.emplace_back();
        token.key.assign(made, made + expanded.nope);
        token.value.assign(made + expanded.nope, made + expanded.nope + expanded.v_dim);
        const auto rope = read_columns(latent, place_of(view, slice, p, 0), shape.latent_rank, latent.cols);
        token.key.insert(token.key.end(), rope.begin(), rope.end());
        const int64_t i = p - slice.first;
        if (i < 0) continue;
        attend(within_window(seen, shape), q + i * q_stride + int64_t{h} * dim, shape.scale, sink_of(shape, h),
               out + i * out_stride + int64_t{h} * expanded.v_dim);
      }
    }
  }

  void decode(const PageView& view, const PageList& list, const AttentionShape& shape, const float* q,
              float* out) override {
    check_fields(view, shape);
    const int dim = view.fields[0].cols;
    const int value_dim = shape.latent_rank > 0 ? shape.latent_rank : view.fields[1].cols;
    for (int row = 0; row < list.rows(); ++row) {
      std::vector<KeyValue> tokens;
      for (const TokenPlace at : listed_tokens(view, list, row)) tokens.push_back(token_at(view, shape, at));
      for (int g = 0; g < shape.group; ++g) {
        const int64_t at = int64_t{row} * shape.group + g;
        const std::vector<float> query = decode_query(view.fields[0].dtype, q + at * dim, dim);
        attend(tokens, query.data(), shape.scale, sink_of(shape, row % view.kv_heads * shape.group + g),
               out + at * value_dim);
      }
    }
  }
};

}  // namespace

std::unique_ptr<AttentionOps> make_ref_attention_ops() { return std::make_unique<RefAttentionOps>(); }

}  // namespace vortex::attention
