// Latency: how long one batch of equal requests takes, prompt and answer apart.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "eval/random_requests.h"
#include "vortex/engine.h"

namespace vortex::eval {

struct LatencyTask {
  int64_t input_len = 512;         // prompt tokens: random, the same for the same lengths
  int64_t output_len = 64;         // tokens to generate; end tokens are ignored
  int64_t batch = 1;               // sequences at once
  bool synthetic_context = false;  // noise in place of the prompt's keys and values
};

struct Latency {
  LatencyTask task;
  double prefill_s = 0, ttft_s = 0;  // the longest of the batch
  double interval_p50_s = 0, interval_p99_s = 0;
  double attention_s = 0, selection_s = 0;  // of a decode step on average
  double host_s = 0;        // the same: beside waiting for the device; on a CPU, which is both, all of it
  SparsityReport sparsity;  // summed over the batch

  /// batch * input_len / ttft_s; 0 when the context was synthetic.
  double prefill_tokens_per_s() const;
  /// batch / the median interval; 0 without one.
  double decode_tokens_per_s() const;
};

/// Runs the batch on an engine that has nothing else to do. kInvalidArgument: lengths below 1, or more than the context
/// holds (a run cut short would report a length that it did not measure); kCancelled when `keep_going` says so.
Result<Latency> measure_latency(Engine& engine, const LatencyTask& task, KeepGoing keep_going);

/// `vortex bench latency --json`.
nlohmann::ordered_json latency_json(const Latency& latency, const EngineInfo& info);

}  // namespace vortex::eval
