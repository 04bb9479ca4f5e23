// RankShare: the part of a model that one of several ranks computes (tensor parallel, Shoeybi et al. 2019,
// arXiv:1909.08053): heads, columns of the feed-forward networks and rows of the output head. What comes out of
// attention and of a feed-forward network is a part of a sum over the ranks.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "loader/model_config.h"
#include "loader/weights.h"

namespace vortex {

struct Range {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};

/// Part `index` of `parts` of [0, total) in whole units (the last one may be short): equal parts where units allow.
Range part_of(int64_t total, int64_t unit, int index, int parts);

struct RankShare {
  int rank = 0, ranks = 1;
  Range heads;         // query heads
  Range kv_heads;      // latent: the one, on every rank
  int replicas = 1;    // ranks that hold the same kv heads, one after the other
  Range inner;         // of a dense feed-forward network
  Range expert_inner;  // of every expert; of the shared ones, which are one network, shared_experts times as much
  Range vocab;         // rows of the output head

  /// The ranks whose queries a selection of pages depends on hold the same kv head, and must read the same pages.
  bool shares_rows() const { return replicas > 1; }
};

/// The share of `rank`. Columns are cut at multiples of `block`, the largest block of the weights' types. kUnsupported
/// when there is less than one head, or less than one block of columns, a rank, and when kv heads neither divide among
/// the ranks nor each among the same number of them.
Result<RankShare> share_of(const ModelConfig& whole, int64_t block, int rank, int ranks);

/// The model that a rank's layers are built from: sizes of its share, everything else as in the whole. vocab_size is
/// that of the whole.
ModelConfig local_config(const ModelConfig& whole, const RankShare& share);

/// What of the weight `name` (ours, weight_names.h) a rank takes; nothing: all of it.
std::optional<WeightSlice> slice_of(std::string_view name, const ModelConfig& whole, const RankShare& share);

}  // namespace vortex
