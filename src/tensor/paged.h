// Where KV pages lie and which of them are read: the one vocabulary between kv, flow, attention and model.
//
//   slab   `slab_tokens` consecutive tokens of one sequence, what the pool hands out (an int32 id)
//   page   `page_tokens` consecutive tokens of one sequence, the unit of sparsity; slab_tokens is a multiple of it
//   row    one (sequence, kv head) pair; its query heads share a selection. Row b * kv_heads + h
//   page id  where page j of a row lies in every field of a layer (spec/planner.md 2):
//            (slab * kv_heads + head) * pages_per_slab + j % pages_per_slab,  slab = table[j / pages_per_slab]
//
// A field is a named per-page tensor [rows, cols] of one kv head, page after page: page id p of a field starts at
// base + p * page_bytes. Field 0 is `k`, field 1 is `v` ([page_tokens, head_dim] each; or `latent` alone), then
// what the flow declares.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tensor/dtype.h"

namespace vortex {

using SlabId = int32_t;
using PageId = int32_t;

class SequenceState;

/// What a page remembers under a name, for one kv head.
struct FieldSpec {
  std::string name;
  int rows = 1;
  int cols = 1;
  DType dtype = DType::kBF16;

  int64_t page_bytes() const;
  bool operator==(const FieldSpec&) const = default;
};

/// One field of one layer in memory.
struct FieldView {
  std::byte* base = nullptr;
  int64_t page_bytes = 0;
  int rows = 0;
  int cols = 0;
  DType dtype = DType::kBF16;

  std::byte* page(PageId id) const { return base + id * page_bytes; }
};

/// All fields of one layer. The pool owns the memory; a view is cheap to copy.
struct PageView {
  std::span<const FieldView> fields;
  int kv_heads = 0;
  int page_tokens = 0;
  int slab_tokens = 0;
  int layer = 0;  // of the model: picks the layer's part of a SequenceState

  int pages_per_slab() const { return slab_tokens / page_tokens; }
  /// Page id of logical page `j` of head `head` for a sequence whose slabs are `table`.
  PageId page_id(std::span<const SlabId> table, int64_t j, int head) const {
    const int ratio = pages_per_slab();
    const SlabId slab = table[static_cast<size_t>(j / ratio)];
    return (slab * kv_heads + head) * ratio + static_cast<PageId>(j % ratio);
  }
};

/// What one decode step attends to for one sequence; all its rows and all sparse layers share it
/// (spec/planner.md 2 and 3).
struct SequencePlan {
  std::span<const SlabId> table;   // slabs of the sequence, in order
  int32_t tokens = 0;              // L: tokens in the cache, the one decoded in this step included
  int32_t pages = 0;               // n = ceil(L / page_tokens)
  int32_t budget = 0;              // what the budget formula or schedule_policy returned, clamped to [.., n]
  int32_t selected = 0;            // m = min(budget, n): pages read per row
  int32_t last_tokens = 0;         // tokens in the last page, 1..page_tokens
  SequenceState* state = nullptr;  // what the flow's Save keeps; null when the flow saves nothing
  bool sparse() const { return selected < pages; }
};

/// Made once a decode step, used by all its sparse layers.
struct StepPlan {
  int kv_heads = 0;
  int reserved_bos = 1;  // first pages, always read
  int reserved_eos = 1;  // last pages, always read; at least 1
  std::vector<SequencePlan> sequences;

  int rows() const { return static_cast<int>(sequences.size()) * kv_heads; }
  bool any_sparse() const {
    for (const SequencePlan& s : sequences)
      if (s.sparse()) return true;
    return false;
  }
};

/// What each row attends to. A row's list may be shorter than planned when the selection decides how many. CSR: row r
/// reads pages[offsets[r] .. offsets[r + 1]), every page whole but the last listed one, of which the first
/// last_tokens[r] tokens count, and the first listed one, whose first skip_tokens[r] do not. Order is free but for the
/// last page, which is last, and the first where tokens of it are skipped.
struct PageList {
  std::vector<int32_t> offsets;  // rows + 1
  std::vector<PageId> pages;
  std::vector<int32_t> last_tokens;  // rows
  std::vector<int32_t> skip_tokens;  // rows; empty: none

  int rows() const { return static_cast<int>(last_tokens.size()); }
  std::span<const PageId> row(int r) const {
    const auto begin = static_cast<size_t>(offsets[static_cast<size_t>(r)]);
    return std::span(pages).subspan(begin, static_cast<size_t>(offsets[static_cast<size_t>(r) + 1]) - begin);
  }
  int row_pages(int r) const { return offsets[static_cast<size_t>(r) + 1] - offsets[static_cast<size_t>(r)]; }
};

/// The list of all pages of every row.
void list_all_pages(const StepPlan& plan, const PageView& view, PageList* out);

/// The list of the pages that hold the last `window` tokens of every row.
void list_window_pages(const StepPlan& plan, const PageView& view, int window, PageList* out);

/// The list with the reserved pages of sparse rows in place: first `reserved_bos`, last `reserved_eos`. The slots
/// between are left for the selection (row slots [bos, m - eos)). Short rows list all their pages.
void list_reserved_pages(const StepPlan& plan, const PageView& view, PageList* out);

/// Takes slots that the selection left empty (-1) out of every row, order kept.
void remove_empty_slots(PageList* list);

}  // namespace vortex
