// Splits attention into items for the worker pool. How a row of decode is cut, and in which order its parts are
// joined, depends on the list alone, so results do not depend on the number of threads.
#include "attention/cpu/cpu_attention_ops.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "attention/cpu/aligned_floats.h"
#include "attention/cpu/kernels.h"
#include "base/check.h"
#include "base/worker_pool.h"
#include "tensor/codes.h"

namespace vortex::attention {
namespace {

// Tokens of one decode chunk: enough to hide its start, few enough to spread one long row over many cores.
constexpr int kChunkTokens = 256;
// Query rows (tokens * group) of one prefill item: enough that widening keys and values is a small part of the work.
constexpr int kBlockRows = 192;
constexpr int64_t kItemsPerThread = 4;
// Decode items a thread, at least, before the chunks of several rows become one.
constexpr int64_t kGroupsPerThread = 2;

Kernels kernels_for(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return avx512::attention_kernels();
  if (isa == Isa::kAvx2) return avx2::attention_kernels();
#elif defined(__aarch64__)
  if (isa == Isa::kNeon) return neon::attention_kernels();
#endif
  VORTEX_CHECK(isa == Isa::kPortable, "no attention kernels for {}", isa_name(isa));
  return portable::attention_kernels();
}

KvElement element_of(const FieldView& field) {
  if (field.dtype == DType::kCode8) return KvElement::kCode8;
  if (field.dtype == DType::kBF16) return KvElement::kBFloat16;
  VORTEX_CHECK(field.dtype == DType::kF32, "dtype {}", dtype_info(field.dtype).name);
  return KvElement::kFloat32;
}

const FieldView& checked_field(const PageView& view, size_t i) {
  VORTEX_CHECK(view.fields.size() > i, "attention needs field {}, got {} fields", i, view.fields.size());
  const FieldView& field = view.fields[i];
  VORTEX_CHECK(field.rows == view.page_tokens, "{} rows in a page of {} tokens", field.rows, view.page_tokens);
  element_of(field);  // which checks it
  return field;
}

KvPages kv_pages(const PageView& view, int latent_rank) {
  const FieldView& k = checked_field(view, 0);
  const KvElement element = element_of(k);
  VORTEX_CHECK(element != KvElement::kCode8 || k.cols <= kWideQueryCols, "{} columns of codes", k.cols);
  if (latent_rank > 0) {
    VORTEX_CHECK(latent_rank <= k.cols, "values of {} columns in latents of {}", latent_rank, k.cols);
    return {k.base, k.base, k.page_bytes, view.page_tokens, k.cols, latent_rank, element};
  }
  const FieldView& v = checked_field(view, 1);
  VORTEX_CHECK(k.dtype == v.dtype && k.cols == v.cols && k.page_bytes == v.page_bytes, "k and v differ in shape");
  return {k.base, v.base, k.page_bytes, view.page_tokens, k.cols, v.cols, element};
}

/// Where a token of a kv head lies.
std::byte* token_row(const PageView& view, const FieldView& field, const TokenSlice& slice, int64_t position,
                     int head) {
  const int64_t row_bytes = field.page_bytes / view.page_tokens;
  return field.page(view.page_id(slice.table, position / view.page_tokens, head)) +
         position % view.page_tokens * row_bytes;
}

/// One chunk each of some rows, which one thread reads.
struct DecodeItem {
  int row;
  int rows;
  int first_page;  // within each row
  int pages;
  int chunk;  // of each row
  bool ends_row;
};

/// The parts of one row: partial results [first_chunk, first_chunk + chunks).
struct DecodeRow {
  int64_t first_chunk = 0;
  int chunks = 0;
  std::atomic<int> unfinished{0};
};

/// Whether the pages of row r + 1 lie right after those of row r, page by page.
bool follows_in_memory(const PageList& list, int r) {
  return std::ranges::equal(list.row(r), list.row(r + 1), [](PageId a, PageId b) { return a + 1 == b; });
}

class CpuAttentionOps final : public AttentionOps {
 public:
  CpuAttentionOps(WorkerPool* pool, Isa isa)
      : pool_(*pool), kernels_(kernels_for(isa)), scratch_(static_cast<size_t>(pool->size())) {}

  void store(const PageView& view, const TokenSlice& slice, const float* k, const float* v, int64_t stride) override {
    const FieldView& keys = checked_field(view, 0);
    const FieldView* values = v == nullptr ? nullptr : &checked_field(view, 1);
    pool_.parallel_ranges(slice.count, kStoreAlign, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        store_token(view, keys, slice, i, k + i * stride);
        if (values != nullptr) store_token(view, *values, slice, i, v + i * stride);
      }
    });
  }

  void load(const PageView& view, const TokenSlice& slice, int cols, float* out) override {
    const FieldView& field = checked_field(view, 0);
    VORTEX_CHECK(cols <= field.cols, "{} columns of a field of {}", cols, field.cols);
    pool_.parallel_ranges(slice.count, kStoreAlign, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        const std::byte* from = token_row(view, field, slice, slice.first + i, 0);
        if (field.dtype == DType::kCode8)
          decode_row(from, field.cols, cols, out + i * cols);
        else if (field.dtype == DType::kBF16)
          kernels_.load_bf16_row(reinterpret_cast<const uint16_t*>(from), cols, out + i * cols);
        else
          std::memcpy(out + i * cols, from, static_cast<size_t>(cols) * sizeof(float));
      }
    });
  }

  void prefill(const PageView& view, const TokenSlice& slice, const AttentionShape& shape, const float* q,
               int64_t q_stride, float* out, int64_t out_stride) override {
    const PrefillBlock whole{.kv = kv_pages(view, shape.latent_rank),
                             .group = shape.group,
                             .q = q,
                             .q_stride = q_stride,
                             .out = out,
                             .out_stride = out_stride};
    list_prefix(view, slice);
    const int64_t pages = static_cast<int64_t>(prefix_.size()) / view.kv_heads;
    prefill_heads(slice, shape, whole, view.kv_heads,
                  [&](int head, PrefillBlock* block) { block->pages = prefix_.data() + head * pages; });
  }

  void prefill_expanded(const PageView& view, const TokenSlice& slice, const AttentionShape& shape,
                        const ExpandedHeads& expanded, const float* q, int64_t q_stride, float* out,
                        int64_t out_stride) override {
    PrefillBlock whole{.kv = kv_pages(view, shape.latent_rank),
                       .made_stride = expanded.stride,
                       .made_keys = expanded.nope,
                       .group = 1,
                       .q = q,
                       .q_stride = q_stride,
                       .out = out,
                       .out_stride = out_stride};
    whole.kv.k += whole.kv.element == KvElement::kCode8 ? shape.latent_rank
                                                        : dtype_bytes(view.fields[0].dtype, shape.latent_rank);
    whole.kv.key_dim += expanded.nope - shape.latent_rank;
    whole.kv.value_dim = expanded.v_dim;
    list_prefix(view, slice);
    prefill_heads(slice, shape, whole, expanded.heads, [&](int head, PrefillBlock* block) {
      block->pages = prefix_.data();
      block->made = expanded.data + int64_t{head} * (expanded.nope + expanded.v_dim);
    });
  }

  void decode(const PageView& view, const PageList& list, const AttentionShape& shape, const float* q,
              float* out) override {
    const KvPages kv = kv_pages(view, shape.latent_rank);
    cut_rows(view, list);
    DecodeStep step{view, list, shape, kv, q, out};
    step.partial_floats = int64_t{shape.group} * partial_stride(kv.value_dim);
    step.partials = partials_.at_least(step.partial_floats * chunks_);
    pool_.parallel_items(static_cast<int64_t>(items_.size()), [&](int64_t i, int thread) {
      const DecodeItem& item = items_[static_cast<size_t>(i)];
      DecodeChunk chunks[kMaxGroupChunks];
      for (int j = 0; j < item.rows; ++j) chunks[j] = chunk_of(step, item, item.row + j);
      kernels_.decode_chunks({chunks, item.rows, scratch(thread, decode_scratch(item.rows, shape.group, kv.key_dim))});
      for (int j = 0; j < item.rows; ++j) finish_chunk(step, item.row + j);
    });
  }

 private:
  static constexpr int64_t kStoreAlign = 16;

  float* scratch(int thread, int64_t floats) { return scratch_[static_cast<size_t>(thread)].at_least(floats); }

  void store_token(const PageView& view, const FieldView& field, const TokenSlice& slice, int64_t i,
                   const float* from) const {
    for (int h = 0; h < view.kv_heads; ++h, from += field.cols) {
      std::byte* to = token_row(view, field, slice, slice.first + i, h);
      if (field.dtype == DType::kCode8)
        encode_row(from, field.cols, to);
      else if (field.dtype == DType::kBF16)
        kernels_.store_bf16_row(from, field.cols, reinterpret_cast<uint16_t*>(to));
      else
        std::memcpy(to, from, static_cast<size_t>(field.cols) * sizeof(float));
    }
  }

  /// What all items of a decode share.
  struct DecodeStep {
    const PageView& view;
    const PageList& list;
    const AttentionShape& shape;
    const KvPages& kv;
    const float* q;
    float* out;
    int64_t partial_floats = 0;
    float* partials = nullptr;
  };

  /// A row's part of an item. A sink takes its weight once: in the first chunk of the row.
  DecodeChunk chunk_of(const DecodeStep& step, const DecodeItem& item, int r) const {
    const auto row = static_cast<size_t>(r);
    const AttentionShape& shape = step.shape;
    const bool starts_row = item.chunk == 0;
    DecodeChunk chunk{.kv = step.kv, .pages = step.list.row(r).data() + item.first_page, .count = item.pages};
    chunk.skip_tokens = starts_row && !step.list.skip_tokens.empty() ? step.list.skip_tokens[row] : 0;
    chunk.last_tokens = item.ends_row ? step.list.last_tokens[row] : step.view.page_tokens;
    chunk.q = step.q + int64_t{r} * shape.group * step.kv.key_dim;
    chunk.group = shape.group;
    chunk.scale = shape.scale;
    if (starts_row && shape.sinks != nullptr) chunk.sinks = shape.sinks + r % step.view.kv_heads * shape.group;
    chunk.out = step.partials + (rows_[row].first_chunk + item.chunk) * step.partial_floats;
    return chunk;
  }

  /// Whoever finishes the last chunk of a row joins them all.
  void finish_chunk(const DecodeStep& step, int r) {
    DecodeRow& row = rows_[static_cast<size_t>(r)];
    if (row.unfinished.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    const int group = step.shape.group;
    kernels_.merge_chunks({step.partials + row.first_chunk * step.partial_floats, row.chunks, group, step.kv.value_dim,
                           step.out + int64_t{r} * group * step.kv.value_dim});
  }

  /// Cuts the queries of `whole` into blocks of one head's consecutive tokens; `aim` sets where a head's keys are.
  template <class Aim>
  void prefill_heads(const TokenSlice& slice, const AttentionShape& shape, const PrefillBlock& whole, int heads,
                     Aim aim) {
    const int64_t block_tokens = tokens_per_block(slice.count, heads, whole.group);
    const int64_t blocks = (slice.count + block_tokens - 1) / block_tokens;
    const KvPages& kv = whole.kv;
    pool_.parallel_items(blocks * heads, [&](int64_t item, int thread) {
      // Late blocks see most keys: they go first.
      const int64_t first = (blocks - 1 - item / heads) * block_tokens;
      const int head = static_cast<int>(item % heads);
      const int64_t first_head = int64_t{head} * whole.group;
      PrefillBlock block = whole;
      block.first = slice.first + first;
      block.tokens = static_cast<int>(std::min(block_tokens, slice.count - first));
      block.window = shape.window;
      block.scale = shape.scale;
      block.sinks = shape.sinks == nullptr ? nullptr : shape.sinks + first_head;
      block.q += first * whole.q_stride + first_head * kv.key_dim;
      block.out += first * whole.out_stride + first_head * kv.value_dim;
      block.scratch = scratch(thread, prefill_scratch(int64_t{block.tokens} * block.group, kv.key_dim, kv.value_dim));
      aim(head, &block);
      kernels_.prefill_block(block);
    });
  }

  /// Page ids of every kv head from position 0 to the end of the slice.
  void list_prefix(const PageView& view, const TokenSlice& slice) {
    const int64_t pages = (slice.first + slice.count + view.page_tokens - 1) / view.page_tokens;
    prefix_.clear();
    for (int h = 0; h < view.kv_heads; ++h)
      for (int64_t j = 0; j < pages; ++j) prefix_.push_back(view.page_id(slice.table, j, h));
  }

  /// Whole panels of rows, fewer when that is needed to give every thread some items. Free to depend on the threads:
  /// a token's result does not depend on the block it is in.
  int64_t tokens_per_block(int64_t tokens, int kv_heads, int group) const {
    const int64_t rows = tokens * group * kv_heads;
    const int64_t fair = rows / (kItemsPerThread * pool_.size()) / kernels_.panel_rows * kernels_.panel_rows;
    return std::max<int64_t>(1, std::clamp<int64_t>(fair, kernels_.panel_rows, kBlockRows) / group);
  }

  /// Chunks of each row, which depend on its pages alone, and items of them: rows of one sequence side by side where
  /// memory is then read in order and enough items are left.
  void cut_rows(const PageView& view, const PageList& list) {
    const int chunk_pages = std::max(1, kChunkTokens / view.page_tokens);
    if (static_cast<int>(rows_.size()) < list.rows()) rows_ = std::vector<DecodeRow>(static_cast<size_t>(list.rows()));
    chunks_ = 0;
    for (int r = 0; r < list.rows(); ++r) {
      VORTEX_CHECK(list.row_pages(r) > 0, "row {} lists no page", r);
      DecodeRow& row = rows_[static_cast<size_t>(r)];
      row.first_chunk = chunks_;
      row.chunks = (list.row_pages(r) + chunk_pages - 1) / chunk_pages;
      row.unfinished.store(row.chunks, std::memory_order_relaxed);
      chunks_ += row.chunks;
    }
    const bool side_by_side = chunks_ >= kGroupsPerThread * pool_.size() * std::min(view.kv_heads, kMaxGroupChunks);
    items_.clear();
    for (int r = 0, rows = 0; r < list.rows(); r += rows) {
      rows = side_by_side ? rows_side_by_side(view, list, r) : 1;
      list_items(list, r, rows, chunk_pages);
    }
  }

  static int rows_side_by_side(const PageView& view, const PageList& list, int first) {
    const int end = std::min((first / view.kv_heads + 1) * view.kv_heads, list.rows());
    int rows = 1;
    while (rows < kMaxGroupChunks && first + rows < end && follows_in_memory(list, first + rows - 1)) ++rows;
    return rows;
  }

  void list_items(const PageList& list, int r, int rows, int chunk_pages) {
    const int pages = list.row_pages(r);
    for (int chunk = 0, first = 0; first < pages; ++chunk, first += chunk_pages)
      items_.push_back({r, rows, first, std::min(chunk_pages, pages - first), chunk, first + chunk_pages >= pages});
  }

  WorkerPool& pool_;
  const Kernels kernels_;
  std::vector<AlignedFloats> scratch_;  // one a thread
  AlignedFloats partials_;              // one a decode chunk
  int64_t chunks_ = 0;                  // of all rows
  std::vector<DecodeItem> items_;
  std::vector<DecodeRow> rows_;
  std::vector<PageId> prefix_;
};

}  // namespace

std::unique_ptr<AttentionOps> make_cpu_attention_ops(WorkerPool* pool, Isa isa) {
  return std::make_unique<CpuAttentionOps>(pool, isa);
}

std::unique_ptr<AttentionOps> make_cpu_attention_ops(WorkerPool* pool) {
  const Result<Isa> isa = best_isa();
  // Start-up has refused a bad wish before any operator is made.
  VORTEX_CHECK(isa.ok(), "{}", isa.ok() ? "" : isa.error().to_string());
  return make_cpu_attention_ops(pool, *isa);
}

}  // namespace vortex::attention
