#include "model/cuda/step_buffers.h"

#include <algorithm>
#include <cstring>

namespace vortex::cuda {
namespace {

template <class T>
void copy_rows(DeviceArray<T>& to, const PinnedArray<T>& from, int64_t width, int64_t rows, int64_t stride,
               cudaStream_t stream) {
  if (width == 0 || rows == 0) return;
  const auto pitch = static_cast<size_t>(stride) * sizeof(T);
  VORTEX_CUDA_CHECK(cudaMemcpy2DAsync(to.data(), pitch, from.data(), pitch, static_cast<size_t>(width) * sizeof(T),
                                      static_cast<size_t>(rows), cudaMemcpyHostToDevice, stream));
}

}  // namespace

/// A step's rows of logits are at most its tokens.
StepBuffers::StepBuffers(const model::RunnerLimits& limits, const PageView& pages)
    : sequence_capacity_(limits.sequences),
      token_capacity_(limits.batched_tokens + limits.sequences),
      row_capacity_(token_capacity_),
      table_stride_((limits.max_length + pages.slab_tokens - 1) / pages.slab_tokens + 1),
      sequence_rows_(kPicks * sequence_capacity_ + row_capacity_),
      token_rows_(kTokenRows * token_capacity_),
      tables_(sequence_capacity_ * table_stride_),
      draws_(row_capacity_),
      states_(sequence_capacity_),
      slices_(sequence_capacity_),
      staging_{make_staging(), make_staging()} {
  step_ = {.tables = tables_.data(),
           .table_stride = static_cast<int32_t>(table_stride_),
           .tokens = sequence_rows_.data() + kTokens * sequence_capacity_,
           .pages = sequence_rows_.data() + kPages * sequence_capacity_,
           .selected = sequence_rows_.data() + kSelected * sequence_capacity_,
           .last_tokens = sequence_rows_.data() + kLastTokens * sequence_capacity_,
           .kv_heads = pages.kv_heads,
           .page_tokens = pages.page_tokens,
           .pages_per_slab = pages.pages_per_slab(),
           .reserved_bos = limits.reserved_bos,
           .reserved_eos = limits.reserved_eos};
  tokens_ = {.sequence = token_rows_.data() + kSequences * token_capacity_,
             .position = token_rows_.data() + kPositions * token_capacity_};
}

StepBuffers::Staging StepBuffers::make_staging() const {
  return {PinnedArray<int32_t>(sequence_rows_.size()),
          PinnedArray<int32_t>(token_rows_.size()),
          PinnedArray<int32_t>(tables_.size()),
          PinnedArray<DrawRow>(row_capacity_),
          PinnedArray<void*>(sequence_capacity_),
          PinnedArray<PrefillSlice>(sequence_capacity_),
          make_event()};
}

void StepBuffers::upload(const model::Batch& batch, int decodes, std::span<void* const> states, cudaStream_t stream) {
  Staging& staging = staging_[turn_];
  turn_ = 1 - turn_;
  VORTEX_CUDA_CHECK(cudaEventSynchronize(staging.copied.get()));
  fill_sequences(batch, decodes, &staging);
  fill_tokens(batch, decodes, &staging);
  fill_rows(batch, decodes, &staging);
  fill_slices(batch, decodes, &staging);
  std::ranges::copy(states, staging.states.data());
  copy(staging, states.size(), stream);
  VORTEX_CUDA_CHECK(cudaEventRecord(staging.copied.get(), stream));
}

void StepBuffers::fill_sequences(const model::Batch& batch, int decodes, Staging* to) {
  const auto row = [&](SequenceRow which) { return to->sequence_rows.data() + which * sequence_capacity_; };
  for (int i = 0; i < decodes; ++i) {
    const auto& sequences = batch.plan.sequences;
    const SequencePlan plan = i < batch.decodes ? sequences[static_cast<size_t>(i)] : SequencePlan{};
    row(kTokens)[i] = plan.tokens;
    row(kPages)[i] = plan.pages;
    row(kSelected)[i] = plan.selected;
    row(kLastTokens)[i] = plan.last_tokens;
  }
  // Tables of decodes, then of prompts; padding lies between them and reads none.
  slabs_used_ = 0;
  for (size_t i = 0; i < batch.slices.size(); ++i) {
    const auto at = static_cast<int64_t>(i) + (static_cast<int64_t>(i) < batch.decodes ? 0 : decodes - batch.decodes);
    const std::span<const SlabId> table = batch.slices[i].table;
    std::memcpy(to->tables.data() + at * table_stride_, table.data(), table.size_bytes());
    slabs_used_ = std::max(slabs_used_, static_cast<int64_t>(table.size()));
  }
  sequences_ = static_cast<int>(batch.slices.size()) + decodes - static_cast<int>(batch.decodes);
  step_.decodes = decodes;
}

void StepBuffers::fill_tokens(const model::Batch& batch, int decodes, Staging* to) {
  const auto row = [&](TokenRow which) { return to->token_rows.data() + which * token_capacity_; };
  const int64_t padding = decodes - batch.decodes;
  int64_t at = 0, from = 0;
  for (size_t s = 0; s < batch.slices.size(); ++s) {
    if (static_cast<int64_t>(s) == batch.decodes) at += padding;
    const int64_t sequence = static_cast<int64_t>(s) + (static_cast<int64_t>(s) < batch.decodes ? 0 : padding);
    for (int64_t i = 0; i < batch.slices[s].count; ++i, ++at, ++from) {
      row(kIds)[at] = batch.ids[static_cast<size_t>(from)];
      row(kDrawOf)[at] = batch.draw_of.empty() ? -1 : batch.draw_of[static_cast<size_t>(from)];
      row(kPositions)[at] = batch.positions[static_cast<size_t>(from)];
      row(kSequences)[at] = static_cast<int32_t>(sequence);
    }
  }
  for (int64_t i = batch.decodes; i < decodes; ++i) {
    row(kIds)[i] = 0;
    row(kDrawOf)[i] = row(kPositions)[i] = -1;
    row(kSequences)[i] = static_cast<int32_t>(i);
  }
  tokens_.count = static_cast<int32_t>(batch.tokens() + padding);
}

void StepBuffers::fill_rows(const model::Batch& batch, int decodes, Staging* to) {
  int32_t* picks = to->sequence_rows.data() + kPicks * sequence_capacity_;
  const int64_t padding = decodes - batch.decodes;
  rows_ = static_cast<int>(batch.logit_tokens.size());
  for (size_t i = 0; i < batch.logit_tokens.size(); ++i) {
    const int64_t token = batch.logit_tokens[i];
    picks[i] = static_cast<int32_t>(token < batch.decodes ? token : token + padding);
    const model::TokenDraw draw = batch.draws.empty() ? model::TokenDraw{} : batch.draws[i];
    to->draws.data()[i] = {draw.temperature, draw.top_k, draw.top_p, draw.min_p, draw.uniform};
  }
  if (batch.tokens() > batch.decodes) return;
  for (; rows_ < decodes; ++rows_) {
    picks[rows_] = rows_;
    to->draws.data()[rows_] = {};
  }
}

void StepBuffers::fill_slices(const model::Batch& batch, int decodes, Staging* to) {
  slice_count_ = most_slice_tokens_ = 0;
  int32_t token = decodes;
  for (const attention::TokenSlice& slice : batch.prompt_slices()) {
    const auto count = static_cast<int32_t>(slice.count);
    to->slices.data()[slice_count_] = {decodes + slice_count_, token, count, static_cast<int32_t>(slice.first)};
    token += count;
    most_slice_tokens_ = std::max(most_slice_tokens_, count);
    ++slice_count_;
  }
}

void StepBuffers::copy(const Staging& from, size_t states, cudaStream_t stream) {
  copy_rows(sequence_rows_, from.sequence_rows, kPicks * sequence_capacity_ + rows_, 1, sequence_rows_.size(), stream);
  copy_rows(token_rows_, from.token_rows, tokens_.count, kTokenRows, token_capacity_, stream);
  copy_rows(tables_, from.tables, slabs_used_, sequences_, table_stride_, stream);
  copy_rows(draws_, from.draws, rows_, 1, row_capacity_, stream);
  copy_rows(states_, from.states, static_cast<int64_t>(states), 1, sequence_capacity_, stream);
  copy_rows(slices_, from.slices, slice_count_, 1, sequence_capacity_, stream);
}

TokenView StepBuffers::prompt_tokens() const {
  return {tokens_.sequence + step_.decodes, tokens_.position + step_.decodes, tokens_.count - step_.decodes};
}

}  // namespace vortex::cuda
