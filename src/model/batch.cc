#include "model/batch.h"

namespace vortex::model {

void Batch::clear() {
  ids.clear();
  positions.clear();
  slices.clear();
  decodes = 0;
  plan.sequences.clear();
  logit_tokens.clear();
  draws.clear();
  draw_of.clear();
}

void list_completed_pages(const Batch& batch, const PageView& view, std::vector<PageId>* out) {
  out->clear();
  for (const attention::TokenSlice& slice : batch.slices) {
    const int64_t begin = slice.first / view.page_tokens;
    const int64_t end = (slice.first + slice.count) / view.page_tokens;
    for (int64_t page = begin; page < end; ++page)
      for (int head = 0; head < view.kv_heads; ++head) out->push_back(view.page_id(slice.table, page, head));
  }
}

}  // namespace vortex::model
