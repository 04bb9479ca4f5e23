// EngineCore: model, pages, scheduler and flow, one step at a time. Single-threaded: the engine thread owns it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/function_ref.h"
#include "engine/engine_stats.h"
#include "engine/generation.h"
#include "engine/loaded_model.h"
#include "engine/options.h"
#include "engine/page_budget.h"
#include "engine/selection_recorder.h"
#include "flow/flow.h"
#include "kv/index/prefix_cache.h"
#include "kv/index/slab_allocator.h"
#include "kv/store/kv_store.h"
#include "sched/prefill_pacer.h"
#include "sched/scheduler.h"

namespace vortex {

class EngineCore {
 public:
  /// Loads the model of `files` and lays out its pages. `options.model` was opened by the caller.
  static Result<std::unique_ptr<EngineCore>> create(const EngineOptions& options, std::unique_ptr<ModelFiles> files,
                                                    const text::Tokenizer* tokenizer);

  /// Whether the request can ever run. Thread-safe.
  Status check(const GenerateRequest& request) const;
  /// Queues a request; one that can never run is refused at once. Its n answers take the ids [id, id + n).
  Status add(uint64_t id, GenerateRequest request, const StreamCallback& callback);
  /// Ends a request; nothing happens when it is not there (it may have just finished).
  void cancel(uint64_t id);
  void cancel_all();
  /// Takes out what an add() that threw left behind; no callback hears of it.
  void forget(uint64_t id);
  /// Ends every request with `error`, and begins with new books: a step that threw may have left the old ones half
  /// written. What was kept for later requests is forgotten.
  void fail_all(const Error& error);
  /// The same when the books cannot be trusted: they are left as they are.
  void abandon(const Error& error);

  bool idle() const { return scheduler_->idle(); }
  /// Runs one step of the batch: prompts advance by chunks, decodes by a token.
  void step();

  EngineStats stats() const;
  /// Pages that nobody holds are free or kept for later, and the books agree. For tests, and whenever it is idle.
  Status check_integrity() const;

  const ModelConfig& config() const { return model_.config(); }
  /// Most tokens of one sequence: what the context and the pool both hold.
  int64_t max_length() const { return max_length_; }
  int64_t kv_bytes() const { return store_->bytes(); }
  int64_t kv_tokens() const { return int64_t{slabs_} * store_->layout().slab_tokens; }
  const std::vector<int32_t>& eos_ids() const { return eos_ids_; }
  int threads() const { return model_.pool->size(); }
  const std::optional<VortexConfig>& vortex() const { return options_.vortex; }
  const flow::CompiledFlow* flow() const { return flow_.get(); }

 private:
  EngineCore() = default;
  Status compile_flow();
  Status set_limits();
  Status allocate_pages();
  void open_books();
  std::unique_ptr<sched::Sequence> make_sequence(uint64_t id, const Generation& generation,
                                                 const GenerateRequest& request) const;
  void expire();
  int64_t paced_tokens() const;
  void fill_batch(sched::StepBatch* scheduled);
  void add_logit_tokens(const sched::Chunk& chunk);
  void plan_decode(sched::Chunk* chunk);
  void record_decode(SelectionRecord* record);
  void report_decodes(const sched::StepBatch& scheduled, const model::StepResult& result);
  void count_step(const sched::StepBatch& scheduled, double seconds);
  void sample(const sched::StepBatch& scheduled);
  void sample_chunk(const sched::Chunk& chunk, std::span<float> rows);
  void end_corrupted(sched::Sequence* sequence);
  void fail(uint64_t id, const Error& error);
  void end(uint64_t id);
  void take_out(uint64_t id, FunctionRef<void(Generation&)> last_words);
  kv::KvLayout layout() const;
  int64_t default_pool_bytes(const kv::KvLayout& pages) const;

  EngineOptions options_;
  const text::Tokenizer* tokenizer_ = nullptr;
  LoadedModel model_;
  std::unique_ptr<flow::CompiledFlow> flow_;
  std::optional<PageBudget> budget_;
  model::Sparsity sparsity_;
  std::unique_ptr<SelectionRecorder> recorder_;  // null when dense
  SparsityReport report_template_;
  std::unique_ptr<kv::KvStore> store_;
  std::vector<PageView> views_;
  int32_t slabs_ = 0;  // of the pool
  std::unique_ptr<kv::SlabAllocator> allocator_;
  std::unique_ptr<kv::PrefixCache> prefix_cache_;  // null: off
  sched::Limits limits_;
  int64_t max_length_ = 0;
  std::unique_ptr<sched::Scheduler> scheduler_;
  sched::Counters counted_;  // of schedulers before this one
  std::unique_ptr<sched::PrefillPacer> pacer_;
  int64_t last_decodes_ = 0;  // of the last step
  std::map<uint64_t, std::unique_ptr<Generation>> generations_;
  EngineStats stats_;
  std::vector<int32_t> eos_ids_;

  model::Batch batch_;
  std::vector<float> logits_;
};

}  // namespace vortex
