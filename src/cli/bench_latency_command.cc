#include <algorithm>
#include <cstdio>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/report.h"
#include "eval/latency.h"

namespace vortex::cli {
namespace {

class BenchLatencyCommand final : public Command {
 public:
  std::string_view name() const override { return "bench latency"; }
  std::string_view summary() const override { return "Time prefill and decode of one batch"; }
  unsigned settings() const override { return kBenchCommand; }

  void add_options(CLI::App& app) override {
    model_.add_to(app, /*positional=*/false);
    app.add_option("--input-len", task_.input_len, "Prompt tokens")
        ->check(CLI::Range(1, 1 << 24))
        ->capture_default_str();
    app.add_option("--output-len", task_.output_len, "Tokens to generate")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    app.add_option("--batch-size,--batch,-b", task_.batch, "Sequences at once")
        ->check(CLI::Range(1, 4096))
        ->capture_default_str();
    app.add_flag("--synthetic-context", task_.synthetic_context,
                 "Fill the KV pages with noise instead of running the prefill");
    app.add_flag("--json", json_, "Print one JSON object");
  }

  Status run(const Settings& settings) override {
    VORTEX_ASSIGN_OR_RETURN(EngineOptions options, model_.engine_options(settings));
    options.max_num_seqs = std::max(options.max_num_seqs, task_.batch);
    VORTEX_ASSIGN_OR_RETURN(auto engine, model_.start(std::move(options)));
    VORTEX_ASSIGN_OR_RETURN(const eval::Latency latency, eval::measure_latency(*engine, task_, [] { return true; }));
    const Json report = eval::latency_json(latency, engine->info());
    if (json_) {
      print_json(report);
    } else {
      print_lines(report);
    }
    return {};
  }

 private:
  static void print_lines(const Json& r) {
    if (!r["prefill_tokens_per_s"].is_null())
      fmt::print("prefill  {:.1f} tokens/s, first token after {:.3f} s\n", r["prefill_tokens_per_s"].get<double>(),
                 r["ttft_s"].get<double>());
    fmt::print("decode   {:.1f} tokens/s, {:.2f} ms a step (p99 {:.2f})\n", r["decode_tokens_per_s"].get<double>(),
               r["itl_ms"]["p50"].get<double>(), r["itl_ms"]["p99"].get<double>());
    if (r["host_ms"].is_null())
      fmt::print("of it    {:.2f} ms attention, {:.2f} ms selection (means)\n", r["attention_ms"].get<double>(),
                 r["selection_ms"].get<double>());
    else
      fmt::print("host     {:.3f} ms a step (mean), most of it while the GPU works\n", r["host_ms"].get<double>());
    if (r["sparsity"]["active"])
      fmt::print("pages    {} read of {} held ({:.1f} %)\n", r["sparsity"]["pages_read"].get<int64_t>(),
                 r["sparsity"]["pages_held"].get<int64_t>(), 100 * r["sparsity"]["read_fraction"].get<double>());
  }

  ModelOptions model_;
  eval::LatencyTask task_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_bench_latency_command() { return std::make_unique<BenchLatencyCommand>(); }

}  // namespace vortex::cli
