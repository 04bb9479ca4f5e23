// Engine: a model that answers requests. One thread runs the steps and owns all state below; any thread may submit.
//
//   VORTEX_ASSIGN_OR_RETURN(auto engine, vortex::Engine::create({.model = "models/recall-gqa"}));
//   vortex::GenerateRequest request{.prompt = engine->codec()->encode("Hello")};
//   VORTEX_ASSIGN_OR_RETURN(vortex::Completion done, engine->generate(std::move(request)));
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "engine/completion.h"
#include "engine/options.h"
#include "engine/text_codec.h"
#include "loader/model_config.h"

namespace vortex {

/// What the engine decided at start, for reports.
struct EngineInfo {
  ModelConfig config;
  int64_t max_model_len = 0;
  int64_t kv_bytes = 0;
  int64_t file_bytes = 0;
  int threads = 0;
  double load_s = 0;
  std::string flow;  // empty when dense
};

/// Counters since start and gauges of now, for metrics. Tokens unless said otherwise.
struct EngineStats {
  int64_t running = 0, waiting = 0;         // sequences
  int64_t pages_total = 0, pages_used = 0;  // slabs of the pool; used: held by a running sequence
  int64_t pages_cached = 0;                 // kept for later requests only, given up when memory is short
  int64_t prompt_tokens = 0;                // computed or taken from the cache
  int64_t generation_tokens = 0;
  int64_t prefix_queries = 0, prefix_hits = 0;  // prompt tokens looked up and found
  int64_t preemptions = 0;
  int64_t sparse_pages_held = 0, sparse_pages_read = 0;  // sums over steps, sparse layers and rows
  int64_t decodes_sparse = 0, decodes_dense = 0;         // decode steps by sequence; dense: fewer pages than the budget
  double selection_s = 0;                                // in scoring and choosing pages
  double step_s = 0;                                     // in steps
  int64_t policy_fallbacks = 0;    // requests served first come first served because a policy failed
  int64_t corrupted_requests = 0;  // ended by a NaN among the logits
  static constexpr std::array<int64_t, 12> kIterationBuckets = {1,   8,   16,   32,   64,   128,
                                                                256, 512, 1024, 2048, 4096, 8192};
  std::array<int64_t, 13> iteration_counts = {};  // steps by tokens: up to each bound, then above; not cumulative
  int64_t iteration_tokens = 0;
};

class Engine {
 public:
  /// Loads the model and starts the engine thread. Errors: whatever the files, the settings or the flow are refused
  /// for.
  static Result<std::unique_ptr<Engine>> create(const EngineOptions& options);
  /// Cancels what runs and joins the thread.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const EngineInfo& info() const;
  /// Null when a dummy model has no tokenizer.
  const TextCodec* codec() const;
  /// Sampling as the model's authors suggest (generation_config.json), or greedy-free defaults.
  sample::SamplingParams default_sampling() const;

  /// Thread-safe; as of the last step.
  EngineStats stats() const;
  /// Why the engine stopped for good; nothing while it lives.
  std::optional<Error> failure() const;
  /// Seconds since the step that runs now began; 0 between steps. A watchdog's food.
  double step_running_s() const;
  /// Tokens that end a text by themselves.
  const std::vector<int32_t>& end_ids() const;
  /// Ok when add() would accept the request: what can be told without the queue, on the caller's thread.
  Status check(const GenerateRequest& request) const;

  /// Queues a request and returns its number. `callback` hears of everything that happens to it, on the engine thread;
  /// the last event of each of its n answers carries a completion, also when the request is refused or fails.
  uint64_t submit(GenerateRequest request, StreamCallback callback);
  /// Ends a request within a step; its callback hears "abort".
  void cancel(uint64_t id);

  /// Submits and waits. `callback` may be empty. An error is the request's own.
  Result<Completion> generate(GenerateRequest request, StreamCallback callback = {});

 private:
  struct State;
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace vortex
