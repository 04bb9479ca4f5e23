// A Runner that queues steps and draws tokens as a GPU's does, on the CPU: for tests of what the engine does with one.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "model/runner.h"

namespace vortex::testing {

class QueuedRunner final : public model::Runner {
 public:
  explicit QueuedRunner(std::unique_ptr<model::Runner> inner) : inner_(std::move(inner)) {}

  const ModelConfig& config() const override { return inner_->config(); }
  device::Device* device() override { return inner_->device(); }
  DType kv_dtype() const override { return inner_->kv_dtype(); }
  int64_t page_memory(const model::RunnerLimits& limits, double fraction) const override {
    return inner_->page_memory(limits, fraction);
  }
  Status prepare(const model::RunnerLimits& limits, std::span<const PageView> pages,
                 const model::Sparsity& sparsity) override {
    return inner_->prepare(limits, pages, sparsity);
  }
  int depth() const override { return 2; }
  bool draws_on_device() const override { return true; }
  Status launch(const model::Batch& batch, model::SelectionHook* hook) override;
  Result<const model::StepResult*> finish(float* logits) override;
  void fill_synthetic(std::span<const SlabId> table, int64_t count) override { inner_->fill_synthetic(table, count); }

  int launched_ahead() const { return launched_ahead_; }
  int under_way() const { return static_cast<int>(flights_.size()); }
  /// All rows of the step that is launched next are found to be not finite.
  void corrupt_next() { corrupt_next_ = true; }

 private:
  struct Flight {
    std::vector<float> logits;
    std::vector<model::TokenDraw> draws;
    model::StepResult result;
  };

  std::unique_ptr<model::Runner> inner_;
  std::deque<std::unique_ptr<Flight>> flights_;
  std::unique_ptr<Flight> finished_;
  std::vector<int32_t> last_tokens_;
  int launched_ahead_ = 0;
  bool corrupt_next_ = false;
};

}  // namespace vortex::testing
