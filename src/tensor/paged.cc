#include "tensor/paged.h"

#include <algorithm>

#include "base/check.h"
#include "tensor/codes.h"

namespace vortex {
namespace {

void start_list(const StepPlan& plan, PageList* out) {
  out->offsets.assign(1, 0);
  out->pages.clear();
  out->last_tokens.clear();
  out->skip_tokens.clear();
  out->offsets.reserve(static_cast<size_t>(plan.rows()) + 1);
  out->last_tokens.reserve(static_cast<size_t>(plan.rows()));
}

void finish_row(const SequencePlan& sequence, PageList* out) {
  out->offsets.push_back(static_cast<int32_t>(out->pages.size()));
  out->last_tokens.push_back(sequence.last_tokens);
}

void append_pages(const SequencePlan& s, const PageView& view, int head, int32_t begin, int32_t end, PageList* out) {
  for (int32_t j = begin; j < end; ++j) out->pages.push_back(view.page_id(s.table, j, head));
}

}  // namespace

int64_t FieldSpec::page_bytes() const {
  return code_bits(dtype) > 0 ? CodeLayout(dtype, rows, cols).page_bytes() : dtype_bytes(dtype, int64_t{rows} * cols);
}

void list_all_pages(const StepPlan& plan, const PageView& view, PageList* out) {
  start_list(plan, out);
  for (const SequencePlan& s : plan.sequences) {
    for (int head = 0; head < plan.kv_heads; ++head) {
      append_pages(s, view, head, 0, s.pages, out);
      finish_row(s, out);
    }
  }
}

void list_window_pages(const StepPlan& plan, const PageView& view, int window, PageList* out) {
  start_list(plan, out);
  for (const SequencePlan& s : plan.sequences) {
    const int32_t first = std::max(0, s.tokens - window);
    for (int head = 0; head < plan.kv_heads; ++head) {
      append_pages(s, view, head, first / view.page_tokens, s.pages, out);
      finish_row(s, out);
      out->skip_tokens.push_back(first % view.page_tokens);
    }
  }
}

void list_reserved_pages(const StepPlan& plan, const PageView& view, PageList* out) {
  start_list(plan, out);
  for (const SequencePlan& s : plan.sequences) {
    for (int head = 0; head < plan.kv_heads; ++head) {
      if (s.sparse()) {
        const int32_t middle = s.selected - plan.reserved_bos - plan.reserved_eos;
        VORTEX_CHECK(middle >= 0, "budget {} below the reserved pages", s.selected);
        append_pages(s, view, head, 0, plan.reserved_bos, out);
        out->pages.resize(out->pages.size() + static_cast<size_t>(middle), PageId{-1});
        append_pages(s, view, head, s.pages - plan.reserved_eos, s.pages, out);
      } else {
        append_pages(s, view, head, 0, s.pages, out);
      }
      finish_row(s, out);
    }
  }
}

void remove_empty_slots(PageList* list) {
  int32_t kept = 0;
  for (int r = 0; r < list->rows(); ++r) {
    const auto row = static_cast<size_t>(r);
    const int32_t begin = list->offsets[row], end = list->offsets[row + 1];
    list->offsets[row] = kept;
    for (int32_t i = begin; i < end; ++i)
      if (list->pages[static_cast<size_t>(i)] >= 0)
        list->pages[static_cast<size_t>(kept++)] = list->pages[static_cast<size_t>(i)];
  }
  list->offsets.back() = kept;
  list->pages.resize(static_cast<size_t>(kept));
}

}  // namespace vortex
