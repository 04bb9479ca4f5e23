#include "eval/latency.h"

#include <algorithm>

#include "eval/report_json.h"

namespace vortex::eval {
namespace {

constexpr const char* kWhere = "bench latency";

double percentile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0.0;
  return sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
}

RequestShape shape_of(const LatencyTask& task) {
  return {task.input_len, task.output_len, task.batch, task.synthetic_context};
}

}  // namespace

double Latency::prefill_tokens_per_s() const {
  return task.synthetic_context ? 0.0 : static_cast<double>(task.batch * task.input_len) / ttft_s;
}

double Latency::decode_tokens_per_s() const {
  return interval_p50_s > 0 ? static_cast<double>(task.batch) / interval_p50_s : 0.0;
}

Result<Latency> measure_latency(Engine& engine, const LatencyTask& task, KeepGoing keep_going) {
  const RequestShape shape = shape_of(task);
  VORTEX_RETURN_IF_ERROR(check(shape, engine.info().max_model_len, kWhere));
  const EngineStats before = engine.stats();
  VORTEX_ASSIGN_OR_RETURN(const std::vector<Completion> completions,
                          run_random_requests(engine, shape, keep_going, kWhere));
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
  const int64_t decode_steps = after.decode_steps - before.decode_steps;
  latency.host_s =
      decode_steps > 0 ? (after.decode_host_s - before.decode_host_s) / static_cast<double>(decode_steps) : 0;
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
          {"host_ms", info.device == "cpu" ? Json(nullptr) : Json(1e3 * latency.host_s)},
          {"load_s", info.load_s},
          {"device", info.device},
          {"sparsity", sparsity_json(latency.sparsity)},
          {"machine", machine_json(info.threads)}};
}

}  // namespace vortex::eval
