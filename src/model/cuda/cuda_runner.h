// The Runner of the GPU. A decode step is captured into a graph once for each size of batch and replayed from then on.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "device/cuda/cuda_device.h"
#include "device/cuda/stream.h"
#include "model/cuda/cuda_model.h"
#include "model/runner.h"

namespace vortex::cuda {

class CudaRunner final : public model::Runner {
 public:
  /// Loads the weights of `files`. `ranks`: null when the model is whole. `sharers`: ranks that share this GPU. Throws
  /// Failure.
  CudaRunner(const DeviceProperties& properties, ModelFiles& files, DType kv_dtype,
             std::unique_ptr<DeviceCommunicator> ranks = nullptr, int sharers = 1);
  ~CudaRunner() override;

  const ModelConfig& config() const override { return model_.config(); }
  device::Device* device() override { return device_.get(); }
  DType kv_dtype() const override { return kv_dtype_; }
  int64_t page_memory(const model::RunnerLimits& limits, double fraction) const override;
  Status prepare(const model::RunnerLimits& limits, std::span<const PageView> pages,
                 const model::Sparsity& sparsity) override;
  int depth() const override { return 2; }
  bool draws_on_device() const override { return true; }
  Status launch(const model::Batch& batch, model::SelectionHook* hook) override;
  Result<const model::StepResult*> finish(float* logits) override;
  void fill_synthetic(std::span<const SlabId> table, int64_t count) override;

 private:
  /// A step that was launched: what comes back of it, and what the host knew.
  struct Flight {
    PinnedArray<int32_t> tokens, nan_sequences;
    PinnedArray<unsigned long long> pages;
    Event done;
    std::vector<bool> on_host;        // by row: the logits go to the host
    std::vector<int64_t> pages_read;  // by decode, where the plan says it
    int rows = 0;
    int64_t decodes = 0;
    int64_t padded_decodes = 0;  // reports of ranks are so far apart
    model::StepResult result;
  };

  Status compile(const model::Sparsity& sparsity);
  void reserve_logits(int rows);
  void launch_step(const model::Batch& batch);
  std::vector<void*> state_blocks(const model::Batch& batch) const;
  void note_flight(const model::Batch& batch, Flight* flight) const;
  ForwardStep forward_step() const;
  void run(int bucket);
  void queue();
  /// What other ranks computed of the step comes to rank 0.
  void collect();
  void draw();
  void bring_back(Flight* flight);
  void fill_result(Flight* flight, float* logits);
  void fill_decode(const Flight& flight, int64_t decode, model::StepResult* result) const;
  bool leads() const { return ranks_ == nullptr || ranks_->leads(); }
  int rank_count() const { return ranks_ == nullptr ? 1 : ranks_->size(); }
  const ModelConfig& whole() const { return ranks_ == nullptr ? config() : ranks_->whole(); }

  DeviceProperties properties_;
  std::unique_ptr<device::Device> device_;
  DType kv_dtype_;
  int sharers_;
  std::unique_ptr<CudaRanks> ranks_;  // null when the model is whole; outlives the graphs
  CudaModel model_;
  Stream stream_;
  model::RunnerLimits limits_;
  std::vector<PageView> pages_;
  int64_t rows_per_sequence_ = 0;  // kv heads of all sparse layers, on all ranks
  std::unique_ptr<flow::CudaFlow> flow_;
  const flow::Plan* plan_ = nullptr;
  SparseLayers sparse_;
  std::unique_ptr<StepBuffers> buffers_;
  std::unique_ptr<AttentionScratch> attention_;
  std::unique_ptr<DrawScratch> draw_;
  DeviceArray<float> logits_;
  int logit_rows_ = 0;
  DeviceArray<int32_t> drawn_, nan_sequences_;
  DeviceArray<unsigned long long> pages_read_;
  struct Warmth {
    int runs = 0;
    Graph graph;
  };
  std::map<int, Warmth> graphs_;  // by padded batch
  Flight flights_[2];
  int oldest_ = 0, in_flight_ = 0;
};

/// Decodes of a captured step: the next of 1, 2, 4, 8, 16, 24, 32 ... or `most`.
int padded_decodes(int64_t decodes, int most);

}  // namespace vortex::cuda
