// The Runner of the CPU: a decoder whose step runs when it is finished, straight into the caller's logits.
#pragma once

#include <vector>

#include "model/runner.h"

namespace vortex::model {

class CpuRunner final : public Runner {
 public:
  /// Everything given must outlive the runner. `ranks`: that the decoder was loaded with; null: the model is whole.
  CpuRunner(Decoder* decoder, attention::AttentionOps* attention, device::Device* device, DType kv_dtype,
            RankGroup* ranks = nullptr);

  const ModelConfig& config() const override { return decoder_->config(); }
  device::Device* device() override { return device_; }
  DType kv_dtype() const override { return kv_dtype_; }
  int64_t page_memory(const RunnerLimits&, double) const override { return 0; }
  Status prepare(const RunnerLimits& limits, std::span<const PageView> pages, const Sparsity& sparsity) override;
  int depth() const override { return 1; }
  bool draws_on_device() const override { return false; }
  Status launch(const Batch& batch, SelectionHook* hook) override;
  Result<const StepResult*> finish(float* logits) override;
  void fill_synthetic(std::span<const SlabId> table, int64_t count) override;

 private:
  Result<const StepResult*> finish_with_ranks(const Batch& batch, float* logits);

  Decoder* decoder_;
  attention::AttentionOps* attention_;
  device::Device* device_;
  DType kv_dtype_;
  RankGroup* ranks_;
  std::vector<float> part_;  // of the logits: this rank's
  StepResult result_;        // of all ranks
  std::span<const PageView> pages_;
  Sparsity sparsity_;
  const Batch* batch_ = nullptr;  // that was launched
};

}  // namespace vortex::model
