// Batch: what one step computes, whoever scheduled it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "attention/attention.h"
#include "tensor/paged.h"

namespace vortex::model {

/// How the token after a row of logits is chosen. Where `on_device` is false, the logits go to the host.
struct TokenDraw {
  bool on_device = false;
  float temperature = 0;  // 0: the largest logit, the lowest id of equals
  int top_k = 0;          // keep the k best; 0: all
  float top_p = 1;        // then the smallest set with this mass
  float min_p = 0;        // then those at least this likely relative to the best
  double uniform = 0;     // in [0, 1): where in the mass that is left the token lies (sample/sampler.h)
};

/// In StepResult::tokens: the row's logits were not finite; or they went to the host.
constexpr int32_t kCorruptedLogits = -2, kHostLogits = -1;

/// New tokens of several sequences, slice after slice; decodes (one generated token each) come first and are the
/// sequences of `plan`, in order.
struct Batch {
  std::vector<int32_t> ids;
  std::vector<int32_t> positions;
  std::vector<attention::TokenSlice> slices;
  int64_t decodes = 0;
  StepPlan plan;
  std::vector<int64_t> logit_tokens;  // whose logits are wanted, ascending
  std::vector<TokenDraw> draws;       // of each of them; empty: all go to the host
  std::vector<int32_t> draw_of;       // token: the row of the previous step's logits whose token it is, when the host
                                      // does not know it yet; -1: ids has it. Empty: ids has all

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
