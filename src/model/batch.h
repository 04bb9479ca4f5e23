// Batch: what one step computes, whoever scheduled it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "attention/attention.h"
#include "tensor/paged.h"

namespace vortex::model {

/// New tokens of several sequences, slice after slice; decodes (one generated token each) come first and are the
/// sequences of `plan`, in order.
struct Batch {
  std::vector<int32_t> ids;
  std::vector<int32_t> positions;
  std::vector<attention::TokenSlice> slices;
  int64_t decodes = 0;
  StepPlan plan;
  std::vector<int64_t> logit_tokens;  // whose logits are wanted, ascending

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  /// The slices after the decodes: chunks of prompts.
  std::span<const attention::TokenSlice> prompt_slices() const {
    return std::span(slices).subspan(static_cast<size_t>(decodes));
  }
  void clear();
};

/// Ids of the pages whose last token is in the batch, every kv head: those a flow's forward_cache runs on.
void list_completed_pages(const Batch& batch, const PageView& view, std::vector<PageId>* out);

}  // namespace vortex::model
