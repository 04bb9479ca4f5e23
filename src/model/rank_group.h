// RankGroup: what the layers of one rank need of the others (loader/rank_share.h says what a rank computes). The first
// failure is kept: what is computed after it is void, and the step ends with it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "comm/communicator.h"
#include "loader/model_files.h"
#include "loader/rank_share.h"
#include "model/layers.h"

namespace vortex::model {

class RankGroup {
 public:
  /// Both outlive it; `files` is split already.
  RankGroup(comm::Communicator* comm, const ModelFiles& files);

  const RankShare& share() const { return shares_[static_cast<size_t>(comm_->rank())]; }
  /// Rank 0 hears of the requests and answers them.
  bool leads() const { return comm_->rank() == 0; }
  /// Sums are to be made, rows of logits to be put together.
  comm::Communicator& comm() { return *comm_; }
  const Status& status() const { return status_; }

  /// The least of the values that the ranks give.
  Result<int64_t> least(int64_t value);
  /// kConfiguration naming the rank whose `fingerprint` is another: what must be alike on all ranks is not.
  Status check_alike(uint64_t fingerprint);

  /// x becomes its sum over the ranks, the same bits on each.
  void add_up(std::span<float> x);

  /// The queries by which a selection is made. Ranks that hold the same row (a kv head, or latents) must read the same
  /// pages, so each scores with all heads of the row: from its own [decodes, heads of this rank, dim] to [decodes,
  /// heads of the row, dim]. Valid until the next call.
  const float* whole_rows(const float* queries, int64_t decodes, int64_t dim);
  /// Heads of a row, and of the model.
  int whole_group() const { return whole_.heads / whole_.kv_heads; }
  int whole_heads() const { return whole_.heads; }
  int whole_kv_heads() const { return whole_.kv_heads; }

  /// Ends a step. Rank 0 gets the logits of all ranks, from [rows, its part of the vocabulary] to [rows, vocabulary],
  /// and adds to `result` the pages that others read and the sequences whose flow failed there. Others: `all` is null.
  void collect(const float* part, int64_t rows, float* all, StepResult* result);

 private:
  void keep(Status status);
  Result<std::vector<int64_t>> values_of_all(int64_t value);
  void collect_logits(const float* part, int64_t rows, float* all);
  void collect_decodes(StepResult* result);

  comm::Communicator* comm_;
  std::vector<RankShare> shares_;  // by rank
  const ModelConfig& whole_;
  Status status_;
  std::vector<int64_t> bytes_;  // by rank
  std::vector<float> gathered_, rows_;
  std::vector<int64_t> report_, reports_;
};

}  // namespace vortex::model
