// Engines on the recall models in float32, and requests for them.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <vector>

#include "golden/golden_json.h"
#include "vortex/engine.h"

namespace vortex::testing {

/// Of a shipped model.
std::string model_folder(const std::string& name);
/// In float32, with one full context of KV memory, so that tests start quickly.
EngineOptions recall_options(const std::string& model = model_folder("recall-gqa"));
/// The settings the flows were measured with: topk 29, one page kept at the front, two at the end.
VortexConfig sparse_config(const std::string& flow, int64_t topk = 29);
std::unique_ptr<Engine> start(const EngineOptions& options);
std::string start_error(const EngineOptions& options);

struct GoldenPrompt {
  std::vector<int32_t> ids;
  std::vector<int32_t> greedy;  // continuation with no stop token
};
/// Prompts of 53 to 4012 tokens with what Hugging Face transformers continues in float32.
std::vector<GoldenPrompt> golden_prompts();
/// The one with `tokens` tokens.
GoldenPrompt golden_prompt(size_t tokens);

/// Greedy, to exactly `count` tokens.
GenerateRequest greedy_request(std::vector<int32_t> prompt, int64_t count);

/// A request under way: submitted at construction.
class Pending {
 public:
  Pending(Engine& engine, GenerateRequest request);
  uint64_t id() const { return id_; }
  /// Waits until the prompt has advanced to `tokens`, or until `count` tokens of text have come.
  void wait_for_prompt(int64_t tokens);
  void wait_for_text();
  /// The completion, whatever it says; fails the test after a minute.
  Completion wait();

 private:
  struct State;
  std::shared_ptr<State> state_;
  uint64_t id_ = 0;
};

/// All at once; tokens by request.
std::vector<std::vector<int32_t>> run_together(Engine& engine, std::vector<GenerateRequest> requests);

}  // namespace vortex::testing
