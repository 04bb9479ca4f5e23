// Throughput: how much a full engine gets done, when all requests are there from the start.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "eval/random_requests.h"
#include "vortex/engine.h"

namespace vortex::eval {

struct ThroughputTask {
  int64_t num_prompts = 100;
  int64_t input_len = 512;  // prompt tokens: random
  int64_t output_len = 64;  // tokens to generate; end tokens are ignored
};

struct Throughput {
  ThroughputTask task;
  double elapsed_s = 0;  // from the first submission to the last token
  int64_t preemptions = 0;
  SparsityReport sparsity;  // summed over the requests

  double requests_per_s() const;
  double output_tokens_per_s() const;
  /// Prompts and answers together.
  double total_tokens_per_s() const;
};

/// Runs the requests on an engine that has nothing else to do. Errors as run_random_requests() and check().
Result<Throughput> measure_throughput(Engine& engine, const ThroughputTask& task, KeepGoing keep_going);

/// `vortex bench throughput --json`.
nlohmann::ordered_json throughput_json(const Throughput& throughput, const EngineInfo& info);

}  // namespace vortex::eval
