#include "engine/engine_rig.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

namespace vortex::testing {

using nlohmann::json;

std::string model_folder(const std::string& name) { return std::string(VORTEX_SOURCE_DIR) + "/models/" + name; }

EngineOptions recall_options(const std::string& model) {
  EngineOptions options;
  options.model = model;
  options.dtype = "float32";
  options.threads = 2;
  options.max_model_len = 8192;
  return options;
}

VortexConfig sparse_config(const std::string& flow, int64_t topk) {
  VortexConfig config;
  config.module_name = flow;
  config.topk_val = topk;
  config.block_reserved_eos = 2;
  return config;
}

std::unique_ptr<Engine> start(const EngineOptions& options) {
  auto engine = Engine::create(options);
  if (engine.ok()) return std::move(engine).value();
  ADD_FAILURE() << engine.error().to_string();
  std::abort();
}

std::string start_error(const EngineOptions& options) {
  const auto engine = Engine::create(options);
  return engine.ok() ? "no error" : engine.error().to_string();
}

std::vector<GoldenPrompt> golden_prompts() {
  std::vector<GoldenPrompt> prompts;
  const json goldens = load_golden("golden/recall-gqa.json");
  for (const json& golden : goldens["float32"])
    prompts.push_back({golden["input_ids"].get<std::vector<int32_t>>(), golden["greedy"].get<std::vector<int32_t>>()});
  return prompts;
}

GoldenPrompt golden_prompt(size_t tokens) {
  for (GoldenPrompt& prompt : golden_prompts())
    if (prompt.ids.size() == tokens) return prompt;
  ADD_FAILURE() << "no golden prompt of " << tokens << " tokens";
  return {};
}

GenerateRequest greedy_request(std::vector<int32_t> prompt, int64_t count) {
  GenerateRequest request;
  request.prompt = std::move(prompt);
  request.sampling.temperature = 0.0;
  request.sampling.max_tokens = count;
  request.sampling.ignore_eos = true;
  return request;
}

struct Pending::State {
  std::mutex mutex;
  std::condition_variable changed;
  int64_t prompt_done = 0;
  bool has_text = false;
  std::optional<Completion> completion;

  void on_event(const StreamEvent& event) {
    const std::lock_guard lock(mutex);
    prompt_done = event.prompt_done;
    has_text |= !event.text.empty();
    if (event.completion != nullptr) completion = *event.completion;
    changed.notify_all();
  }

  template <class Condition>
  void wait(Condition condition) {
    std::unique_lock lock(mutex);
    if (!changed.wait_for(lock, std::chrono::minutes(1), [&] { return completion || condition(); }))
      ADD_FAILURE() << "nothing happened for a minute";
  }
};

Pending::Pending(Engine& engine, GenerateRequest request) : state_(std::make_shared<State>()) {
  id_ = engine.submit(std::move(request), [state = state_](const StreamEvent& event) { state->on_event(event); });
}

void Pending::wait_for_prompt(int64_t tokens) {
  state_->wait([&] { return state_->prompt_done >= tokens; });
}

void Pending::wait_for_text() {
  state_->wait([&] { return state_->has_text; });
}

Completion Pending::wait() {
  state_->wait([] { return false; });
  return state_->completion.value_or(Completion());
}

std::vector<std::vector<int32_t>> run_together(Engine& engine, std::vector<GenerateRequest> requests) {
  std::vector<Pending> pending;
  for (GenerateRequest& request : requests) pending.emplace_back(engine, std::move(request));
  std::vector<std::vector<int32_t>> tokens;
  for (Pending& one : pending) {
    const Completion completion = one.wait();
    EXPECT_FALSE(completion.error) << completion.error->to_string();
    tokens.push_back(completion.tokens);
  }
  return tokens;
}

}  // namespace vortex::testing
