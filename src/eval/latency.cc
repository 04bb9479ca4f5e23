#include "eval/latency.h"

#include <algorithm>
#include <chrono>
#include <future>

#include "eval/report_json.h"
#include "sample/sampler.h"

namespace vortex::eval {
namespace {

constexpr int64_t kMostTokens = 1 << 24, kMostSequences = 4096;
constexpr std::chrono::milliseconds kAskEvery(50);

double percentile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0.0;
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
}

Status check(const LatencyTask& task, int64_t context) {
  const auto fault = [](std::string message, std::string hint) {
    return Error{ErrorCode::kInvalidArgument, "bench latency", std::move(message), std::move(hint)};
  };
  const auto within = [](int64_t value, int64_t most) { return value >= 1 && value <= most; };
  if (!within(task.input_len, kMostTokens) || !within(task.output_len, kMostTokens) ||
      !within(task.batch, kMostSequences))
    return fault(fmt::format("{} + {} tokens of {} sequences", task.input_len, task.output_len, task.batch),
                 "give at least one of each, and at most 4096 sequences");
  if (task.input_len + task.output_len > context)
    return fault(fmt::format("{} + {} tokens, the context holds {}", task.input_len, task.output_len, context),
                 "ask for fewer, or raise --max-model-len or --kv-cache-memory-bytes");
  return {};
}

GenerateRequest make_request(const EngineInfo& info, const LatencyTask& task, uint64_t number) {
  GenerateRequest request;
  sample::Random random(number);
  const auto vocab = static_cast<uint64_t>(info.config.vocab_size);
  for (int64_t i = 0; i < task.input_len; ++i) request.prompt.push_back(static_cast<int32_t>(random.next() % vocab));
  request.sampling.temperature = 0.0;
  request.sampling.max_tokens = task.output_len;
  request.sampling.ignore_eos = true;
  request.synthetic_context = task.synthetic_context;
  return request;
}

/// The completions, in order; those of a batch that is stopped are waited for too, so that no callback outlives them.
Result<std::vector<Completion>> run_batch(Engine& engine, const LatencyTask& task, KeepGoing keep_going) {
  std::vector<std::promise<Completion>> promises(static_cast<size_t>(task.batch));
  std::vector<uint64_t> ids;
  for (size_t i = 0; i < promises.size(); ++i) {
    ids.push_back(
        engine.submit(make_request(engine.info(), task, i), [&promise = promises[i]](const StreamEvent& event) {
          if (event.completion != nullptr) promise.set_value(*event.completion);
        }));
  }
  bool stopped = false;
  std::vector<Completion> completions;
  for (auto& promise : promises) {
    auto future = promise.get_future();
    while (future.wait_for(kAskEvery) != std::future_status::ready) {
      if (stopped || keep_going()) continue;
      stopped = true;
      for (uint64_t id : ids) engine.cancel(id);
    }
    completions.push_back(future.get());
  }
  if (stopped) return Error{ErrorCode::kCancelled, "bench latency", "stopped", ""};
  for (const Completion& c : completions)
    if (c.error) return *c.error;
  return completions;
}

}  // namespace

double Latency::prefill_tokens_per_s() const {
  return task.synthetic_context ? 0.0 : static_cast<double>(task.batch * task.input_len) / ttft_s;
}

double Latency::decode_tokens_per_s() const {
  return interval_p50_s > 0 ? static_cast<double>(task.batch) / interval_p50_s : 0.0;
}

Result<Latency> measure_latency(Engine& engine, const LatencyTask& task, KeepGoing keep_going) {
  VORTEX_RETURN_IF_ERROR(check(task, engine.info().max_model_len));
  const EngineStats before = engine.stats();
  VORTEX_ASSIGN_OR_RETURN(const std::vector<Completion> completions, run_batch(engine, task, keep_going));
  const EngineStats after = engine.stats();
  Latency latency{.task = task};
  std::vector<double> intervals;
  for (const Completion& c : completions) {
    intervals.insert(intervals.end(), c.timings.intervals_s.begin(), c.timings.intervals_s.end());
    latency.prefill_s = std::max(latency.prefill_s, c.timings.prefill_s);
    latency.ttft_s = std::max(latency.ttft_s, c.timings.ttft_s);
    latency.sparsity.add(c.sparsity);
  }
  std::ranges::sort(intervals);
  latency.interval_p50_s = percentile(intervals, 0.5);
  latency.interval_p99_s = percentile(intervals, 0.99);
  const double steps = std::max(1.0, static_cast<double>(intervals.size()) / static_cast<double>(task.batch));
  latency.attention_s = (after.attention_s - before.attention_s) / steps;
  latency.selection_s = (after.selection_s - before.selection_s) / steps;
  return latency;
}

nlohmann::ordered_json latency_json(const Latency& latency, const EngineInfo& info) {
  const LatencyTask& task = latency.task;
  return {{"input_len", task.input_len},
          {"output_len", task.output_len},
          {"batch", task.batch},
          {"synthetic_context", task.synthetic_context},
          {"prefill_tokens_per_s", task.synthetic_context ? Json(nullptr) : Json(latency.prefill_tokens_per_s())},
          {"decode_tokens_per_s", latency.decode_tokens_per_s()},
          {"prefill_s", latency.prefill_s},
          {"ttft_s", latency.ttft_s},
          {"itl_ms", {{"p50", 1e3 * latency.interval_p50_s}, {"p99", 1e3 * latency.interval_p99_s}}},
          {"attention_ms", 1e3 * latency.attention_s},
          {"selection_ms", 1e3 * latency.selection_s},
          {"load_s", info.load_s},
          {"sparsity", sparsity_json(latency.sparsity)},
          {"machine", machine_json(info.threads)}};
}

}  // namespace vortex::eval
