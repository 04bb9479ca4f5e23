// RankLeader: the Runner that rank 0's engine drives when several ranks compute the model. It tells the others what its
// own runner is about to do; the runners themselves meet in RankGroup.
#pragma once

#include <memory>
#include <vector>

#include "base/function_ref.h"
#include "model/rank_group.h"
#include "model/runner.h"
#include "model/step_message.h"

namespace vortex::model {

class RankLeader final : public Runner {
 public:
  /// `ranks` outlives it.
  RankLeader(std::unique_ptr<Runner> own, RankGroup* ranks);
  /// The others leave too.
  ~RankLeader() override;

  const ModelConfig& config() const override { return own_->config(); }
  device::Device* device() override { return own_->device(); }
  DType kv_dtype() const override { return own_->kv_dtype(); }
  int64_t page_memory(const RunnerLimits& limits, double fraction) const override {
    return own_->page_memory(limits, fraction);
  }
  Status prepare(const RunnerLimits& limits, std::span<const PageView> pages, const Sparsity& sparsity) override {
    return own_->prepare(limits, pages, sparsity);
  }
  int depth() const override { return own_->depth(); }
  bool draws_on_device() const override { return own_->draws_on_device(); }
  Status launch(const Batch& batch, SelectionHook* hook) override;
  Result<const StepResult*> finish(float* logits) override { return own_->finish(logits); }
  void fill_synthetic(std::span<const SlabId> table, int64_t count) override;
  /// The pages of a slab on all other ranks: whoever holds the books erases its own.
  Status erase_elsewhere(SlabId slab);

 private:
  void start(RankOrder order);
  StateId state_id(SequenceState* state);
  Status tell() { return ranks_->comm().broadcast(&message_.bytes()); }

  std::unique_ptr<Runner> own_;
  RankGroup* ranks_;
  MessageWriter message_;
  StateId last_state_ = kNoState;
  std::shared_ptr<std::vector<StateId>> released_;  // by states that ended, since the last step
  std::vector<StateId> states_;                     // of a step
};

/// What the other ranks do: each order of rank 0, until it leaves. `own` is prepared; `erase` overwrites a slab. An
/// error when a rank failed.
Status follow_rank_0(Runner* own, RankGroup* ranks, FunctionRef<Status(SlabId)> erase);

}  // namespace vortex::model
