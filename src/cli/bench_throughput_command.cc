#include <cstdio>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/report.h"
#include "eval/throughput.h"

namespace vortex::cli {
namespace {

class BenchThroughputCommand final : public Command {
 public:
  std::string_view name() const override { return "bench throughput"; }
  std::string_view summary() const override { return "Time many random prompts that are all there at once"; }
  unsigned settings() const override { return kBenchCommand; }

  void add_options(CLI::App& app) override {
    model_.add_to(app, /*positional=*/false);
    app.add_option("--num-prompts,-n", task_.num_prompts, "Requests")
        ->check(CLI::Range(1, 1 << 16))
        ->capture_default_str();
    app.add_option("--input-len", task_.input_len, "Prompt tokens of each")
        ->check(CLI::Range(1, 1 << 24))
        ->capture_default_str();
    app.add_option("--output-len", task_.output_len, "Tokens to generate for each")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    app.add_flag("--json", json_, "Print one JSON object");
  }

  Status run(const Settings& settings) override {
    VORTEX_ASSIGN_OR_RETURN(auto engine, model_.start(settings));
    VORTEX_ASSIGN_OR_RETURN(const eval::Throughput throughput,
                            eval::measure_throughput(*engine, task_, [] { return true; }));
    if (json_) {
      print_json(eval::throughput_json(throughput, engine->info()));
    } else {
      print_lines(throughput);
    }
    return {};
  }

 private:
  static void print_lines(const eval::Throughput& t) {
    fmt::print("requests  {:.2f}/s, {} in {:.2f} s\n", t.requests_per_s(), t.task.num_prompts, t.elapsed_s);
    fmt::print("tokens    {:.1f}/s generated, {:.1f}/s with the prompts\n", t.output_tokens_per_s(),
               t.total_tokens_per_s());
    if (t.sparsity.active)
      fmt::print("pages     {} read of {} held ({:.1f} %)\n", t.sparsity.pages_read, t.sparsity.pages_held,
                 100 * t.sparsity.read_fraction());
  }

  ModelOptions model_;
  eval::ThroughputTask task_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_bench_throughput_command() { return std::make_unique<BenchThroughputCommand>(); }

}  // namespace vortex::cli
