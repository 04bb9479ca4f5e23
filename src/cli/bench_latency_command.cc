#include <algorithm>
#include <cstdio>
#include <future>

#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/report.h"
#include "sample/sampler.h"

namespace vortex::cli {
namespace {

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0.0;
  std::ranges::sort(values);
  return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5)];
}

class BenchLatencyCommand final : public Command {
 public:
  std::string_view name() const override { return "bench latency"; }
  std::string_view summary() const override { return "Time prefill and decode of one batch"; }
  unsigned settings() const override { return kBenchCommand; }

  void add_options(CLI::App& app) override {
    model_.add_to(app, /*positional=*/false);
    app.add_option("--input-len", input_len_, "Prompt tokens")->check(CLI::Range(1, 1 << 24))->capture_default_str();
    app.add_option("--output-len", output_len_, "Tokens to generate")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    app.add_option("--batch,-b", batch_, "Sequences at once")->check(CLI::Range(1, 4096))->capture_default_str();
    app.add_flag("--synthetic-context", synthetic_, "Fill the KV pages with noise instead of running the prefill");
    app.add_flag("--json", json_, "Print one JSON object");
  }

  Status run(const Settings& settings) override {
    VORTEX_ASSIGN_OR_RETURN(EngineOptions options, model_.engine_options(settings));
    options.max_num_seqs = std::max(options.max_num_seqs, batch_);
    VORTEX_ASSIGN_OR_RETURN(auto engine, model_.start(std::move(options)));
    VORTEX_RETURN_IF_ERROR(check_room(engine->info().max_model_len));
    VORTEX_ASSIGN_OR_RETURN(const std::vector<Completion> completions, run_batch(*engine));
    const Json report = summarise(completions, *engine);
    if (json_) {
      print_json(report);
    } else {
      print_lines(report);
    }
    return {};
  }

 private:
  /// A run that the context cuts short would report a length it did not measure.
  Status check_room(int64_t context) const {
    if (input_len_ + output_len_ <= context) return {};
    return Error{ErrorCode::kInvalidArgument, "bench latency",
                 fmt::format("{} + {} tokens, the context holds {}", input_len_, output_len_, context),
                 "lower --input-len or --output-len, or raise --max-model-len or --kv-cache-memory-bytes"};
  }

  /// Random tokens, the same for the same lengths: content does not change what a step costs.
  GenerateRequest make_request(const Engine& engine, int64_t number) const {
    GenerateRequest request;
    sample::Random random(static_cast<uint64_t>(number));
    const auto vocab = static_cast<uint64_t>(engine.info().config.vocab_size);
    for (int64_t i = 0; i < input_len_; ++i) request.prompt.push_back(static_cast<int32_t>(random.next() % vocab));
    request.sampling.temperature = 0.0;
    request.sampling.max_tokens = output_len_;
    request.sampling.ignore_eos = true;
    request.synthetic_context = synthetic_;
    return request;
  }

  Result<std::vector<Completion>> run_batch(Engine& engine) const {
    std::vector<std::promise<Completion>> promises(static_cast<size_t>(batch_));
    for (int64_t i = 0; i < batch_; ++i) {
      auto& promise = promises[static_cast<size_t>(i)];
      engine.submit(make_request(engine, i), [&promise](const StreamEvent& event) {
        if (event.completion != nullptr) promise.set_value(*event.completion);
      });
    }
    std::vector<Completion> completions;
    for (auto& promise : promises) completions.push_back(promise.get_future().get());
    for (const Completion& c : completions)
      if (c.error) return *c.error;
    return completions;
  }

  Json summarise(const std::vector<Completion>& completions, const Engine& engine) const {
    std::vector<double> intervals;
    double prefill_s = 0, ttft_s = 0;
    SparsityReport sparsity;
    for (const Completion& c : completions) {
      intervals.insert(intervals.end(), c.timings.intervals_s.begin(), c.timings.intervals_s.end());
      prefill_s = std::max(prefill_s, c.timings.prefill_s);
      ttft_s = std::max(ttft_s, c.timings.ttft_s);
      sparsity.add(c.sparsity);
    }
    const double median = percentile(intervals, 0.5);
    const auto batch = static_cast<double>(batch_);
    const EngineStats stats = engine.stats();
    const double steps = std::max(1.0, static_cast<double>(intervals.size()) / batch);
    return {
        {"input_len", input_len_},
        {"output_len", output_len_},
        {"batch", batch_},
        {"synthetic_context", synthetic_},
        {"prefill_tokens_per_s", synthetic_ ? Json(nullptr) : Json(batch * static_cast<double>(input_len_) / ttft_s)},
        {"decode_tokens_per_s", median > 0 ? batch / median : 0.0},
        {"prefill_s", prefill_s},
        {"ttft_s", ttft_s},
        {"itl_ms", {{"p50", 1e3 * median}, {"p99", 1e3 * percentile(intervals, 0.99)}}},
        {"attention_ms", 1e3 * stats.attention_s / steps},
        {"selection_ms", 1e3 * stats.selection_s / steps},
        {"load_s", engine.info().load_s},
        {"sparsity", sparsity_json(sparsity)},
        {"machine", machine_json(engine.info().threads)}};
  }

  static void print_lines(const Json& r) {
    if (!r["prefill_tokens_per_s"].is_null())
      fmt::print("prefill  {:.1f} tokens/s, first token after {:.3f} s\n", r["prefill_tokens_per_s"].get<double>(),
                 r["ttft_s"].get<double>());
    fmt::print("decode   {:.1f} tokens/s, {:.2f} ms a step (p99 {:.2f})\n", r["decode_tokens_per_s"].get<double>(),
               r["itl_ms"]["p50"].get<double>(), r["itl_ms"]["p99"].get<double>());
    fmt::print("of it    {:.2f} ms attention, {:.2f} ms selection (means)\n", r["attention_ms"].get<double>(),
               r["selection_ms"].get<double>());
    if (r["sparsity"]["active"])
      fmt::print("pages    {} read of {} held ({:.1f} %)\n", r["sparsity"]["pages_read"].get<int64_t>(),
                 r["sparsity"]["pages_held"].get<int64_t>(), 100 * r["sparsity"]["read_fraction"].get<double>());
  }

  ModelOptions model_;
  int64_t input_len_ = 512, output_len_ = 64, batch_ = 1;
  bool synthetic_ = false, json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_bench_latency_command() { return std::make_unique<BenchLatencyCommand>(); }

}  // namespace vortex::cli
