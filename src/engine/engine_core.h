// EngineCore: model, pages, scheduler and flow, one step at a time. Single-threaded: the engine thread owns it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
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

/// A step that no other can follow: the device or a rank is gone.
struct StepFailed : std::runtime_error {
  explicit StepFailed(Error why) : std::runtime_error(why.to_string()), error(std::move(why)) {}
  Error error;
};

class EngineCore {
 public:
  /// Puts a runner around the one that the options ask for, before anything else meets it: for tests.
  using RunnerWrapper = std::function<std::unique_ptr<model::Runner>(std::unique_ptr<model::Runner>)>;

  /// Loads the model of `files`, or its share on a rank of `group`, and lays out its pages. `options.model` was opened
  /// by the caller; `group` outlives the core.
  static Result<std::unique_ptr<EngineCore>> create(const EngineOptions& options, std::unique_ptr<ModelFiles> files,
                                                    const text::Tokenizer* tokenizer, const RunnerWrapper& wrap = {},
                                                    comm::Group* group = nullptr);
  ~EngineCore();

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

  bool idle() const { return scheduler_->idle() && in_flight_ == 0; }
  /// Runs one step of the batch: prompts advance by chunks, decodes by a token. Where the device queues steps and draws
  /// their tokens, the next step is launched before this one is waited for, as long as decodes are all there is to do.
  /// Throws StepFailed.
  void step();

  EngineStats stats() const;
  /// Pages that nobody holds are free or kept for later, and the books agree. For tests, and whenever it is idle.
  Status check_integrity() const;

  /// Of a rank other than the first: computes what rank 0 launches, until it leaves.
  Status follow();

  const ModelConfig& config() const { return model_.config(); }
  /// Most tokens of one sequence: what the context and the pool both hold.
  int64_t max_length() const { return max_length_; }
  int64_t kv_bytes() const { return store_->bytes(); }
  int64_t kv_tokens() const { return int64_t{slabs_} * store_->layout().slab_tokens; }
  const std::vector<int32_t>& eos_ids() const { return eos_ids_; }
  std::string_view device_name() const { return runner().device()->name(); }
  int threads() const { return model_.pool->size(); }
  const std::optional<VortexConfig>& vortex() const { return options_.vortex; }
  const flow::CompiledFlow* flow() const { return flow_.get(); }

 private:
  /// A step between launch and finish. What was removed meanwhile has no sequence any more.
  struct Flight {
    sched::StepBatch scheduled;
    model::Batch batch;
    double launched = 0;  // when
  };

  EngineCore() = default;
  Status compile_flow();
  Status set_limits();
  Status allocate_pages();
  Result<int64_t> agreed_slabs(int64_t slabs, const kv::KvLayout& pages);
  int kv_heads_here() const { return runner().config().kv_heads; }
  void erase(SlabId slab);
  void open_books();
  std::unique_ptr<sched::Sequence> make_sequence(uint64_t id, const Generation& generation,
                                                 const GenerateRequest& request) const;
  void expire();
  model::Runner& runner() const { return *model_.runner; }
  model::RunnerLimits runner_limits() const;
  int64_t paced_tokens() const;
  bool launch_next();
  bool launch_ahead();
  void launch(sched::StepBatch scheduled, const Flight* before);
  void finish_oldest();
  Result<const model::StepResult*> wait_for(const model::Batch& batch);
  void discard_flights();
  float* logits_of(const model::Batch& batch);
  void fill_batch(const Flight* before, Flight* flight);
  void add_tokens(const sched::Chunk& chunk, int32_t row, model::Batch* batch) const;
  void add_logit_rows(const sched::Chunk& chunk, int64_t ahead, model::Batch* batch);
  void plan_decode(model::Batch* batch, sched::Chunk* chunk);
  void record_decode(const model::Batch& batch, SelectionRecord* record);
  void report_decodes(const Flight& flight, const model::StepResult& result);
  void count_step(const Flight& flight);
  void sample(const Flight& flight, const model::StepResult& result);
  void sample_chunk(const sched::Chunk& chunk, std::span<float> rows, int32_t drawn);
  void publish_prompt(sched::Sequence* sequence);
  void end_corrupted(sched::Sequence* sequence);
  void remove(uint64_t id);
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

  Flight flights_[2];  // a ring
  int oldest_ = 0, in_flight_ = 0;
  bool last_only_decodes_ = false;
  double last_finish_ = 0;
  double waited_s_ = 0;  // in this step
  std::vector<float> logits_;
};

}  // namespace vortex
