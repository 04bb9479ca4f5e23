// What a step's kernels read of the batch, at addresses that never change: a graph that was captured once runs for
// every batch of its size. Filled from pinned memory, of which there are two copies, so that a step can be prepared
// while another is still being copied.
#pragma once

#include <vector>

#include "attention/cuda/attention.h"
#include "device/cuda/memory.h"
#include "device/cuda/stream.h"
#include "kernels/cuda/draw.h"
#include "model/runner.h"

namespace vortex::cuda {

class StepBuffers {
 public:
  StepBuffers(const model::RunnerLimits& limits, const PageView& pages);

  /// Queues the copies of a batch. Decodes are padded to `decodes` with sequences of no tokens. `states` are the blocks
  /// of what flows save, one a decode, or empty.
  void upload(const model::Batch& batch, int decodes, std::span<void* const> states, cudaStream_t stream);

  /// Of the batch that was uploaded last.
  const StepView& step() const { return step_; }
  const TokenView& tokens() const { return tokens_; }
  /// Tokens of prompts alone.
  TokenView prompt_tokens() const;
  const int32_t* ids() const { return token_rows_.data(); }
  /// Null when the host knows all ids.
  const int32_t* draw_of() const { return token_rows_.data() + token_capacity_; }
  const int32_t* picks() const { return sequence_rows_.data() + kPicks * sequence_capacity_; }
  const DrawRow* draws() const { return draws_.data(); }
  void* const* states() const { return states_.data(); }
  const PrefillSlice* slices() const { return slices_.data(); }
  int slice_count() const { return slice_count_; }
  int most_slice_tokens() const { return most_slice_tokens_; }
  /// Rows of logits, padding included.
  int rows() const { return rows_; }

 private:
  enum SequenceRow { kTokens, kPages, kSelected, kLastTokens, kPicks, kSequenceRows };
  enum TokenRow { kIds, kDrawOf, kPositions, kSequences, kTokenRows };
  struct Staging {
    PinnedArray<int32_t> sequence_rows, token_rows, tables;
    PinnedArray<DrawRow> draws;
    PinnedArray<void*> states;
    PinnedArray<PrefillSlice> slices;
    Event copied;
  };

  Staging make_staging() const;
  void fill_sequences(const model::Batch& batch, int decodes, Staging* to);
  void fill_tokens(const model::Batch& batch, int decodes, Staging* to);
  void fill_rows(const model::Batch& batch, int decodes, Staging* to);
  void fill_slices(const model::Batch& batch, int decodes, Staging* to);
  void copy(const Staging& from, size_t states, cudaStream_t stream);

  int64_t sequence_capacity_, token_capacity_, row_capacity_, table_stride_;
  DeviceArray<int32_t> sequence_rows_;  // [kSequenceRows, sequence_capacity_], picks up to row_capacity_
  DeviceArray<int32_t> token_rows_;     // [kTokenRows, token_capacity_]
  DeviceArray<int32_t> tables_;         // [sequence_capacity_, table_stride_]
  DeviceArray<DrawRow> draws_;
  DeviceArray<void*> states_;
  DeviceArray<PrefillSlice> slices_;
  Staging staging_[2];
  int turn_ = 0;
  int sequences_ = 0, rows_ = 0, slice_count_ = 0, most_slice_tokens_ = 0;
  int64_t slabs_used_ = 0;
  StepView step_;
  TokenView tokens_;
};

}  // namespace vortex::cuda
