// EngineCore: model, pages, scheduler and flow, one step at a time. Single-threaded: the engine thread owns it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/generation.h"
#include "engine/loaded_model.h"
#include "engine/options.h"
#include "engine/page_budget.h"
#include "flow/flow.h"
#include "kv/index/slab_allocator.h"
#include "kv/store/kv_store.h"
#include "sched/scheduler.h"

namespace vortex {

class EngineCore {
 public:
  /// Loads the model of `files` and lays out its pages. `options.model` was opened by the caller.
  static Result<std::unique_ptr<EngineCore>> create(const EngineOptions& options, std::unique_ptr<ModelFiles> files,
                                                    const text::Tokenizer* tokenizer);

  /// Queues a request; one that can never run is refused at once.
  Status add(uint64_t id, GenerateRequest request, StreamCallback callback);
  /// Ends a request; nothing happens when it is not there (it may have just finished).
  void cancel(uint64_t id);
  void cancel_all();

  bool idle() const { return scheduler_->idle(); }
  /// Runs one step of the batch: prompts advance by chunks, decodes by a token.
  void step();

  const ModelConfig& config() const { return model_.config(); }
  /// Most tokens of one sequence: what the context and the pool both hold.
  int64_t max_length() const { return max_length_; }
  int64_t kv_bytes() const { return store_->bytes(); }
  int threads() const { return model_.pool->size(); }
  const std::optional<VortexConfig>& vortex() const { return options_.vortex; }
  const flow::CompiledFlow* flow() const { return flow_.get(); }

 private:
  EngineCore() = default;
  Status compile_flow();
  Status set_limits();
  Status allocate_pages();
  void fill_batch(const sched::StepBatch& scheduled);
  void report_decodes(const sched::StepBatch& scheduled, const model::StepResult& result);
  void sample(const sched::StepBatch& scheduled);
  void fail(uint64_t id, const Error& error);
  kv::KvLayout layout() const;
  int64_t default_pool_bytes(const kv::KvLayout& pages) const;

  EngineOptions options_;
  const text::Tokenizer* tokenizer_ = nullptr;
  LoadedModel model_;
  std::unique_ptr<flow::CompiledFlow> flow_;
  std::optional<PageBudget> budget_;
  model::Sparsity sparsity_;
  SparsityReport report_template_;
  std::unique_ptr<kv::KvStore> store_;
  std::vector<PageView> views_;
  std::unique_ptr<kv::SlabAllocator> allocator_;
  sched::Limits limits_;
  int64_t max_length_ = 0;
  std::unique_ptr<sched::Scheduler> scheduler_;
  std::map<uint64_t, std::unique_ptr<Generation>> generations_;
  std::vector<int32_t> eos_ids_;

  model::Batch batch_;
  std::vector<float> logits_;
};

}  // namespace vortex
