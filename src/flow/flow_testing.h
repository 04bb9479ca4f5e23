// Random paged memory for tests of flows: sequences of odd lengths, several slabs, shuffled physical pages.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "flow/ir/graph.h"
#include "tensor/codes.h"
#include "tensor/float8.h"
#include "tensor/half.h"
#include "tensor/paged.h"
#include "tensor/quant_blocks.h"
#include "tensor/sequence_state.h"
#include "vortex/flow.h"

namespace vortex::flow {

struct WorldShape {
  int group = 4;
  int head_dim = 64;
  int page_tokens = 16;
  int kv_heads = 2;
  int pages_per_slab = 1;
  std::vector<int> tokens = {1000};  // of each sequence
  int budget = 10;                   // pages a row, bos and eos included
  int bos = 1;
  int eos = 2;
  DType kv_dtype = DType::kBF16;
  int kv_lora_rank = 0;  // above 0: `latent` in place of k and v
  float scale = 0;       // of attention

  GraphShape graph() const { return {group, head_dim, page_tokens, kv_lora_rank, scale}; }
  size_t base_fields() const { return kv_lora_rank > 0 ? 1 : 2; }
};

/// A world that flows of this kind run in.
inline WorldShape example_world(AttentionKind kind) {
  WorldShape shape;
  if (kind == AttentionKind::kGqa) return shape;
  shape.head_dim = 576;
  shape.kv_lora_rank = 512;
  shape.kv_heads = 1;
  return shape;
}

/// Rounds as stores do.
inline float rounded(DType dtype, float x) {
  if (dtype == DType::kBF16) return round_to_bf16(x);
  if (dtype == DType::kF16) return f16_to_f32(f32_to_f16(x));
  if (dtype == DType::kF8E4M3) return f8e4m3_to_f32(f32_to_f8e4m3(x));
  if (dtype == DType::kF8E5M2) return f8e5m2_to_f32(f32_to_f8e5m2(x));
  return x;
}

/// Memory, page tables and queries of a decode step. Declared fields start as 0.
class World {
 public:
  World(const WorldShape& shape_in, std::span<const FieldSpec> declared, uint32_t seed)
      : shape(shape_in), random_(seed) {
    std::vector<FieldSpec> specs(shape.base_fields(), {"k", shape.page_tokens, shape.head_dim, shape.kv_dtype});
    specs.insert(specs.end(), declared.begin(), declared.end());
    make_tables();
    make_fields(specs);
    queries.resize(static_cast<size_t>(step.rows()) * shape.group * shape.head_dim);
    for (float& x : queries) x = normal();
  }

  /// All pages of full length, of all heads: what forward_cache runs on.
  std::vector<PageId> full_pages() const {
    std::vector<PageId> pages;
    for (const SequencePlan& s : step.sequences)
      for (int head = 0; head < shape.kv_heads; ++head)
        for (int j = 0; j < s.tokens / shape.page_tokens; ++j) pages.push_back(view.page_id(s.table, j, head));
    return pages;
  }

  const SequencePlan& sequence(int row) const { return step.sequences[static_cast<size_t>(row / shape.kv_heads)]; }
  PageId page(int row, int j) const { return view.page_id(sequence(row).table, j, row % shape.kv_heads); }
  const float* query(int row) const { return queries.data() + static_cast<size_t>(row) * shape.group * shape.head_dim; }

  /// Numbers of one page of a field.
  std::vector<float> field(int index, PageId id) const {
    const FieldView& f = view.fields[static_cast<size_t>(index)];
    std::vector<float> out(static_cast<size_t>(f.rows) * f.cols);
    if (code_bits(f.dtype) > 0) {
      decode_page({f.dtype, f.rows, f.cols}, f.page(id), out.data());
    } else if (f.dtype == DType::kF8E4M3 || f.dtype == DType::kF8E5M2) {
      const auto decode = f.dtype == DType::kF8E4M3 ? f8e4m3_to_f32 : f8e5m2_to_f32;
      for (size_t i = 0; i < out.size(); ++i) out[i] = decode(std::to_integer<uint8_t>(f.page(id)[i]));
    } else {
      dequantize(f.dtype, f.page(id), out.data(), static_cast<int64_t>(out.size()));
    }
    return out;
  }

  /// Logical pages in the middle slots of a row, ascending.
  std::vector<int> chosen(const PageList& list, int row) const {
    std::vector<int> out;
    const auto ids = list.row(row);
    const SequencePlan& s = sequence(row);
    for (size_t i = static_cast<size_t>(shape.bos); i + static_cast<size_t>(shape.eos) < ids.size(); ++i)
      for (int j = 0; j < s.pages; ++j)
        if (page(row, j) == ids[i]) out.push_back(j);
    std::sort(out.begin(), out.end());
    return out;
  }

  float normal() { return std::normal_distribution<float>()(random_); }
  int uniform(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  WorldShape shape;
  PageView view;
  StepPlan step;
  std::vector<float> queries;
  std::vector<std::vector<std::byte>> memory;
  std::vector<SequenceState> states;  // of each sequence

 private:
  void make_tables() {
    const int slab_tokens = shape.page_tokens * shape.pages_per_slab;
    for (int tokens : shape.tokens) slabs_ += (tokens + slab_tokens - 1) / slab_tokens;
    std::vector<SlabId> ids(static_cast<size_t>(slabs_));
    std::iota(ids.begin(), ids.end(), 0);
    std::shuffle(ids.begin(), ids.end(), random_);
    step.kv_heads = shape.kv_heads;
    step.reserved_bos = shape.bos;
    step.reserved_eos = shape.eos;
    tables_.reserve(shape.tokens.size());
    states.resize(shape.tokens.size());
    for (int tokens : shape.tokens) {
      const auto count = static_cast<size_t>((tokens + slab_tokens - 1) / slab_tokens);
      tables_.emplace_back(ids.end() - static_cast<std::ptrdiff_t>(count), ids.end());
      ids.resize(ids.size() - count);
      SequencePlan s;
      s.table = tables_.back();
      s.tokens = tokens;
      s.pages = (tokens + shape.page_tokens - 1) / shape.page_tokens;
      s.budget = shape.budget;
      s.selected = std::min(s.budget, s.pages);
      s.last_tokens = tokens - (s.pages - 1) * shape.page_tokens;
      s.state = &states[step.sequences.size()];
      step.sequences.push_back(s);
    }
  }

  void make_fields(const std::vector<FieldSpec>& specs) {
    const int64_t pages = int64_t{slabs_} * shape.kv_heads * shape.pages_per_slab;
    for (const FieldSpec& spec : specs) {
      memory.emplace_back(static_cast<size_t>(pages * spec.page_bytes()));
      views_.push_back({nullptr, spec.page_bytes(), spec.rows, spec.cols, spec.dtype});
    }
    for (size_t f = 0; f < views_.size(); ++f) views_[f].base = memory[f].data();
    for (size_t f = 0; f < shape.base_fields(); ++f) randomize(views_[f], &memory[f]);
    view = {views_, shape.kv_heads, shape.page_tokens, shape.page_tokens * shape.pages_per_slab};
  }

  void randomize(const FieldView& field, std::vector<std::byte>* bytes) {
    if (code_bits(field.dtype) > 0) return randomize_codes({field.dtype, field.rows, field.cols}, bytes);
    const DType dtype = field.dtype;
    const auto size = static_cast<size_t>(dtype_bytes(dtype, 1));
    for (size_t at = 0; at < bytes->size(); at += size) {
      const float x = normal();
      const uint16_t half = dtype == DType::kBF16 ? f32_to_bf16(x) : f32_to_f16(x);
      if (dtype == DType::kF32) std::memcpy(bytes->data() + at, &x, size);
      if (dtype != DType::kF32) std::memcpy(bytes->data() + at, &half, size);
    }
  }

  void randomize_codes(const CodeLayout& layout, std::vector<std::byte>* bytes) {
    std::vector<float> page(static_cast<size_t>(layout.rows()) * layout.cols());
    for (size_t at = 0; at < bytes->size(); at += static_cast<size_t>(layout.page_bytes())) {
      for (float& x : page) x = normal();
      encode_page(layout, page.data(), bytes->data() + at);
    }
  }

  std::mt19937 random_;
  int slabs_ = 0;
  std::vector<std::vector<SlabId>> tables_;
  std::vector<FieldView> views_;
};

}  // namespace vortex::flow
