// Engine: a model that answers requests. One thread runs the steps and owns all state below; any thread may submit.
//
//   VORTEX_ASSIGN_OR_RETURN(auto engine, vortex::Engine::create({.model = "models/recall-gqa"}));
//   vortex::GenerateRequest request{.prompt = engine->codec()->encode("Hello")};
//   VORTEX_ASSIGN_OR_RETURN(vortex::Completion done, engine->generate(std::move(request)));
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "engine/completion.h"
#include "engine/engine_stats.h"
#include "engine/options.h"
#include "engine/text_codec.h"
#include "loader/model_config.h"

namespace vortex {

/// What the engine decided at start, for reports.
struct EngineInfo {
  ModelConfig config;
  int64_t max_model_len = 0;
  int64_t kv_bytes = 0;
  int64_t kv_tokens = 0;  // that the pool holds
  int64_t file_bytes = 0;
  int threads = 0;
  std::string device;  // "cpu", "cuda"
  double load_s = 0;
  std::string flow;  // empty when dense
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
