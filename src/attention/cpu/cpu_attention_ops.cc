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

namespace vortex::attention {
namespace {

// Tokens of one decode item: enough to hide its start, few enough to spread one long row over many cores.
constexpr int kChunkTokens = 512;
// Query rows (tokens * group) of one prefill item: enough that widening keys and values is a small part of the work.
constexpr int kBlockRows = 192;
constexpr int64_t kItemsPerThread = 4;

Kernels kernels_for(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return avx512::attention_kernels();
  if (isa == Isa::kAvx2) return avx2::attention_kernels();
#endif
  VORTEX_CHECK(isa == Isa::kPortable, "no attention kernels for {}", isa_name(isa));
  return portable::attention_kernels();
}

KvPages kv_pages(const PageView& view) {
  VORTEX_CHECK(view.fields.size() >= 2, "attention needs fields k and v, got {}", view.fields.size());
  const FieldView& k = view.fields[0];
  const FieldView& v = view.fields[1];
  VORTEX_CHECK(k.dtype == v.dtype && k.cols == v.cols && k.page_bytes == v.page_bytes, "k and v differ in shape");
  VORTEX_CHECK(k.rows == view.page_tokens, "{} rows in a page of {} tokens", k.rows, view.page_tokens);
  VORTEX_CHECK(k.dtype == DType::kBF16 || k.dtype == DType::kF32, "dtype {}", dtype_info(k.dtype).name);
  return {k.base, v.base, k.page_bytes, view.page_tokens, k.cols, k.dtype == DType::kBF16};
}

/// Pages of one row that one thread reads.
struct DecodeItem {
  int row;
  int first_page;  // within the row
  int pages;
};

/// The parts of one row: items [first_item, first_item + items).
struct DecodeRow {
  int64_t first_item = 0;
  int items = 0;
  std::atomic<int> unfinished{0};
};

class CpuAttentionOps final : public AttentionOps {
 public:
  CpuAttentionOps(WorkerPool* pool, Isa isa)
      : pool_(*pool), kernels_(kernels_for(isa)), scratch_(static_cast<size_t>(pool->size())) {}

  void store(const PageView& view, const TokenSlice& slice, const float* k, const float* v, int64_t stride) override {
    kv_pages(view);
    pool_.parallel_ranges(slice.count, kStoreAlign, [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) {
        store_token(view, view.fields[0], slice, i, k + i * stride);
        store_token(view, view.fields[1], slice, i, v + i * stride);
      }
    });
  }

  void load(const PageView&, const TokenSlice&, int, float*) override { VORTEX_CHECK(false, "no latent pages"); }

  void prefill_expanded(const PageView&, const TokenSlice&, const AttentionShape&, const ExpandedHeads&, const float*,
                        int64_t, float*, int64_t) override {
    VORTEX_CHECK(false, "no latent pages");
  }

  void prefill(const PageView& view, const TokenSlice& slice, const AttentionShape& shape, const float* q,
               int64_t q_stride, float* out, int64_t out_stride) override {
    if (slice.count == 0) return;
    const int group = shape.group;
    const KvPages kv = kv_pages(view);
    list_prefix(view, slice);
    const int64_t pages = static_cast<int64_t>(prefix_.size()) / view.kv_heads;
    const int64_t block_tokens = tokens_per_block(slice.count, view.kv_heads, group);
    const int64_t blocks = (slice.count + block_tokens - 1) / block_tokens;
    pool_.parallel_items(blocks * view.kv_heads, [&](int64_t item, int thread) {
      // Late blocks see most keys: they go first.
      const int64_t first = (blocks - 1 - item / view.kv_heads) * block_tokens;
      const int64_t head = item % view.kv_heads;
      const int64_t column = head * group * kv.dim;
      PrefillBlock block{.kv = kv, .pages = prefix_.data() + head * pages, .first = slice.first + first};
      block.tokens = static_cast<int>(std::min(block_tokens, slice.count - first));
      block.group = group;
      block.scale = shape.scale;
      block.q = q + first * q_stride + column;
      block.q_stride = q_stride;
      block.out = out + first * out_stride + column;
      block.out_stride = out_stride;
      block.scratch = scratch(thread, prefill_scratch(int64_t{block.tokens} * group, kv.dim));
      kernels_.prefill_block(block);
    });
  }

  void decode(const PageView& view, const PageList& list, const AttentionShape& shape, const float* q,
              float* out) override {
    const int group = shape.group;
    const KvPages kv = kv_pages(view);
    cut_rows(list, std::max(1, kChunkTokens / view.page_tokens));
    const int64_t partial_floats = int64_t{group} * partial_stride(kv.dim);
    const int64_t row_floats = int64_t{group} * kv.dim;
    float* partials = partials_.at_least(partial_floats * static_cast<int64_t>(items_.size()));
    pool_.parallel_items(static_cast<int64_t>(items_.size()), [&](int64_t i, int thread) {
      const DecodeItem& item = items_[static_cast<size_t>(i)];
      const auto pages = list.row(item.row);
      const bool ends_row = item.first_page + item.pages == static_cast<int>(pages.size());
      DecodeChunk chunk{.kv = kv, .pages = pages.data() + item.first_page, .count = item.pages};
      chunk.last_tokens = ends_row ? list.last_tokens[static_cast<size_t>(item.row)] : view.page_tokens;
      chunk.q = q + item.row * row_floats;
      chunk.group = group;
      chunk.scale = shape.scale;
      chunk.out = partials + i * partial_floats;
      chunk.scratch = scratch(thread, decode_scratch(group, kv.dim));
      kernels_.decode_chunk(chunk);

      DecodeRow& row = rows_[static_cast<size_t>(item.row)];
      if (row.unfinished.fetch_sub(1, std::memory_order_acq_rel) == 1)
        kernels_.merge_chunks(
            {partials + row.first_item * partial_floats, row.items, group, kv.dim, out + item.row * row_floats});
    });
  }

 private:
  static constexpr int64_t kStoreAlign = 16;

  float* scratch(int thread, int64_t floats) { return scratch_[static_cast<size_t>(thread)].at_least(floats); }

  void store_token(const PageView& view, const FieldView& field, const TokenSlice& slice, int64_t i,
                   const float* from) const {
    const int64_t position = slice.first + i;
    const int64_t row_bytes = field.page_bytes / view.page_tokens;
    for (int h = 0; h < view.kv_heads; ++h, from += field.cols) {
      std::byte* to = field.page(view.page_id(slice.table, position / view.page_tokens, h)) +
                      position % view.page_tokens * row_bytes;
      if (field.dtype == DType::kBF16)
        kernels_.store_bf16_row(from, field.cols, reinterpret_cast<uint16_t*>(to));
      else
        std::memcpy(to, from, static_cast<size_t>(row_bytes));
    }
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

  void cut_rows(const PageList& list, int chunk_pages) {
    items_.clear();
    if (static_cast<int>(rows_.size()) < list.rows()) rows_ = std::vector<DecodeRow>(static_cast<size_t>(list.rows()));
    for (int r = 0; r < list.rows(); ++r) {
      const int pages = static_cast<int>(list.row(r).size());
      VORTEX_CHECK(pages > 0, "row {} lists no page", r);
      DecodeRow& row = rows_[static_cast<size_t>(r)];
      row.first_item = static_cast<int64_t>(items_.size());
      for (int first = 0; first < pages; first += chunk_pages)
        items_.push_back({r, first, std::min(chunk_pages, pages - first)});
      row.items = static_cast<int>(static_cast<int64_t>(items_.size()) - row.first_item);
      row.unfinished.store(row.items, std::memory_order_relaxed);
    }
  }

  WorkerPool& pool_;
  const Kernels kernels_;
  std::vector<AlignedFloats> scratch_;  // one a thread
  AlignedFloats partials_;              // one a decode item
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
