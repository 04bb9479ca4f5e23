#include <algorithm>
#include <cstdio>
#include <future>

#include "base/progress.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/report.h"
#include "cli/sampling_options.h"
#include "eval/conversation.h"
#include "eval/json_lines.h"
#include "eval/ruler_data.h"

namespace vortex::cli {
namespace {

using eval::at_line;
using eval::RulerRow;

/// The protocol's sampling (RULER's 64 new tokens); flags change it.
sample::SamplingParams protocol() {
  sample::SamplingParams params;
  params.temperature = 0.6;
  params.top_p = 0.95;
  params.top_k = 20;
  return params;
}
constexpr int64_t kMaxNewTokens = 64;

struct RulerResult {
  int64_t right = 0, asked = 0;
  double slowest_s = 0;  // from submission to the last token
  int64_t tokens = 0;    // generated
  SparsityReport sparsity;

  double accuracy() const { return static_cast<double>(right) / static_cast<double>(asked); }
  double throughput() const { return slowest_s > 0 ? static_cast<double>(tokens) / slowest_s : 0.0; }

  void add(const RulerRow& row, const Completion& completion) {
    right += completion.text.find(row.output) != std::string::npos;
    ++asked;
    slowest_s = std::max(slowest_s, completion.timings.ttft_s + completion.timings.decode_s);
    tokens += completion.usage.completion_tokens;
    sparsity.add(completion.sparsity);
  }
};

class EvalRulerCommand final : public Command {
 public:
  std::string_view name() const override { return "eval ruler"; }
  std::string_view summary() const override { return "Accuracy and throughput on RULER's questions, all at once"; }
  unsigned settings() const override { return kEvalCommand; }

  void add_options(CLI::App& app) override {
    model_.add_to(app, /*positional=*/false);
    app.add_option("--data", data_, "JSON lines of input and outputs; may be gzipped")->required();
    app.add_option("--limit", limit_, "At most this many questions")->check(CLI::PositiveNumber);
    app.add_flag("--json", json_, "Print one JSON object");
    sampling_.add_to(app);
  }

  Status run(const Settings& settings) override {
    VORTEX_RETURN_IF_ERROR(sampling_.check());
    VORTEX_ASSIGN_OR_RETURN(std::vector<RulerRow> rows, eval::read_ruler_data(data_));
    if (rows.empty()) return Error{ErrorCode::kInvalidArgument, data_, "no question in it", ""};
    if (limit_ > 0 && static_cast<int64_t>(rows.size()) > limit_) rows.resize(static_cast<size_t>(limit_));
    VORTEX_ASSIGN_OR_RETURN(const EngineOptions options, model_.engine_options(settings));
    VORTEX_ASSIGN_OR_RETURN(auto engine, model_.start(options));
    VORTEX_ASSIGN_OR_RETURN(const RulerResult result, ask(*engine, rows));
    if (json_) {
      print_json(report(result, options));
    } else {
      print(result);
    }
    return {};
  }

 private:
  /// Each request has a seed of its own, so that its answer depends on no other.
  Result<GenerateRequest> make_request(const Engine& engine, const RulerRow& row, uint64_t number) const {
    Json messages = Json::array();
    messages.push_back({{"role", "user"}, {"content", row.input}});
    GenerateRequest request;
    VORTEX_ASSIGN_OR_RETURN(request.prompt, eval::encode_conversation(
                                                engine.codec(), {{"messages", messages}, {"enable_thinking", false}}));
    request.sampling = sampling_.apply(protocol(), kMaxNewTokens);
    request.sampling.seed = sampling_.sampling_seed.value_or(0) + number;
    return request;
  }

  Result<RulerResult> ask(Engine& engine, const std::vector<RulerRow>& rows) const {
    std::vector<GenerateRequest> requests;
    for (const RulerRow& row : rows) {
      auto request = make_request(engine, row, requests.size());
      if (!request.ok()) return at_line(row.where, request.error());
      requests.push_back(std::move(request).value());
    }
    Progress bar("questions", rows.size(), "", model_.quiet);
    uint64_t finished = 0;  // the engine thread's
    std::vector<std::promise<Completion>> promises(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
      engine.submit(std::move(requests[i]), [&, i](const StreamEvent& event) {
        if (event.completion == nullptr) return;
        bar.update(++finished);
        promises[i].set_value(*event.completion);
      });
    }
    std::vector<Completion> completions;
    for (auto& promise : promises) completions.push_back(promise.get_future().get());
    bar.finish();
    RulerResult result;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (completions[i].error) return at_line(rows[i].where, *completions[i].error);
      result.add(rows[i], completions[i]);
    }
    return result;
  }

  Json report(const RulerResult& r, const EngineOptions& options) const {
    const sample::SamplingParams p = sampling_.apply(protocol(), kMaxNewTokens);
    return {{"accuracy", r.accuracy()},
            {"count", r.asked},
            {"e2e_time", r.slowest_s},
            {"total_tokens", r.tokens},
            {"throughput", r.throughput()},
            {"sparsity", sparsity_json(r.sparsity)},
            {"config",
             {{"model", model_.model},
              {"max_new_tokens", p.max_tokens},
              {"temperature", p.temperature},
              {"top_p", p.top_p},
              {"top_k", p.top_k},
              {"seed", sampling_.sampling_seed.value_or(0)},
              {"vortex", options.vortex ? Json::parse(to_json(*options.vortex)) : Json(nullptr)}}}};
  }

  static void print(const RulerResult& r) {
    fmt::print("accuracy      {:.3f} on {} questions\n", r.accuracy(), r.asked);
    fmt::print("e2e_time      {:.2f} s, the slowest request\n", r.slowest_s);
    fmt::print("total_tokens  {}\n", r.tokens);
    fmt::print("throughput    {:.1f} tokens/s\n", r.throughput());
    if (r.sparsity.active)
      fmt::print("pages         {:.1f} % read under {}\n", 100 * r.sparsity.read_fraction(), r.sparsity.flow);
  }

  ModelOptions model_;
  SamplingOptions sampling_;
  std::string data_;
  int64_t limit_ = 0;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_eval_ruler_command() { return std::make_unique<EvalRulerCommand>(); }

}  // namespace vortex::cli
