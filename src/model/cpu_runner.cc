#include "model/cpu_runner.h"

#include <utility>

#include "model/rank_group.h"
#include "model/synthetic_context.h"

namespace vortex::model {

CpuRunner::CpuRunner(Decoder* decoder, attention::AttentionOps* attention, device::Device* device, DType kv_dtype,
                     RankGroup* ranks)
    : decoder_(decoder), attention_(attention), device_(device), kv_dtype_(kv_dtype), ranks_(ranks) {}

Status CpuRunner::prepare(const RunnerLimits&, std::span<const PageView> pages, const Sparsity& sparsity) {
  pages_ = pages;
  sparsity_ = sparsity;
  return {};
}

Status CpuRunner::launch(const Batch& batch, SelectionHook* hook) {
  batch_ = &batch;
  sparsity_.hook = hook;
  return {};
}

Result<const StepResult*> CpuRunner::finish(float* logits) {
  const Batch* batch = std::exchange(batch_, nullptr);
  VORTEX_CHECK(batch != nullptr, "no step was launched");
  if (ranks_ != nullptr) return finish_with_ranks(*batch, logits);
  return &decoder_->forward(*batch, pages_, sparsity_, logits);
}

Result<const StepResult*> CpuRunner::finish_with_ranks(const Batch& batch, float* logits) {
  part_.resize(batch.logit_tokens.size() * static_cast<size_t>(ranks_->share().vocab.size()));
  result_ = decoder_->forward(batch, pages_, sparsity_, part_.data());
  ranks_->collect(part_.data(), static_cast<int64_t>(batch.logit_tokens.size()), logits, &result_);
  if (!ranks_->status().ok()) return ranks_->status().error();
  return &result_;
}

void CpuRunner::fill_synthetic(std::span<const SlabId> table, int64_t count) {
  fill_synthetic_context(table, count, pages_, config().latent(), sparsity_, attention_);
}

}  // namespace vortex::model
