#include "eval/throughput.h"

#include <chrono>

#include "eval/report_json.h"

namespace vortex::eval {
namespace {

constexpr const char* kWhere = "bench throughput";

}  // namespace

double Throughput::requests_per_s() const { return static_cast<double>(task.num_prompts) / elapsed_s; }

double Throughput::output_tokens_per_s() const { return requests_per_s() * static_cast<double>(task.output_len); }

double Throughput::total_tokens_per_s() const {
  return requests_per_s() * static_cast<double>(task.input_len + task.output_len);
}

Result<Throughput> measure_throughput(Engine& engine, const ThroughputTask& task, KeepGoing keep_going) {
  const RequestShape shape{task.input_len, task.output_len, task.num_prompts};
  VORTEX_RETURN_IF_ERROR(check(shape, engine.info().max_model_len, kWhere));
  const EngineStats before = engine.stats();
  const auto start = std::chrono::steady_clock::now();
  VORTEX_ASSIGN_OR_RETURN(const std::vector<Completion> completions,
                          run_random_requests(engine, shape, keep_going, kWhere));
  Throughput throughput{.task = task};
  throughput.elapsed_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  throughput.preemptions = engine.stats().preemptions - before.preemptions;
  for (const Completion& c : completions) throughput.sparsity.add(c.sparsity);
  return throughput;
}

nlohmann::ordered_json throughput_json(const Throughput& throughput, const EngineInfo& info) {
  const ThroughputTask& task = throughput.task;
  return {{"num_prompts", task.num_prompts},
          {"input_len", task.input_len},
          {"output_len", task.output_len},
          {"elapsed_s", throughput.elapsed_s},
          {"requests_per_s", throughput.requests_per_s()},
          {"output_tokens_per_s", throughput.output_tokens_per_s()},
          {"total_tokens_per_s", throughput.total_tokens_per_s()},
          {"preemptions", throughput.preemptions},
          {"load_s", info.load_s},
          {"device", info.device},
          {"sparsity", sparsity_json(throughput.sparsity)},
          {"machine", machine_json(info.threads)}};
}

}  // namespace vortex::eval
