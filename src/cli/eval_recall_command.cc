#include <cstdio>
#include <future>
#include <map>
#include <set>

#include "base/progress.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/prompt.h"
#include "cli/recall_data.h"
#include "cli/report.h"

namespace vortex::cli {
namespace {

constexpr int64_t kMaxNewTokens = 96;

struct Score {
  int64_t right = 0, asked = 0;
  void add(bool ok) {
    right += ok;
    ++asked;
  }
  double share() const { return asked > 0 ? static_cast<double>(right) / static_cast<double>(asked) : 0.0; }
};

struct Tally {
  Score all;
  std::map<std::string, Score> by_task;
  std::map<int64_t, Score> by_length;
  std::map<std::pair<std::string, int64_t>, Score> cells;
  SparsityReport sparsity;

  void add(const RecallRow& row, const Completion& completion) {
    const bool ok = completion.text.find(row.answer) != std::string::npos;
    all.add(ok);
    by_task[row.task].add(ok);
    by_length[row.length].add(ok);
    cells[{row.task, row.length}].add(ok);
    sparsity.add(completion.sparsity);
  }
};

Json tally_json(const Tally& tally, const Json& config) {
  Json by_task = Json::object(), by_length = Json::object(), cells = Json::object();
  for (const auto& [task, score] : tally.by_task) by_task[task] = score.share();
  for (const auto& [length, score] : tally.by_length) by_length[std::to_string(length)] = score.share();
  for (const auto& [cell, score] : tally.cells)
    cells[fmt::format("{}/{}", cell.first, cell.second)] = {score.right, score.asked};
  return {{"accuracy", tally.all.share()},
          {"count", tally.all.asked},
          {"by_task", by_task},
          {"by_length", by_length},
          {"cells", cells},
          {"sparsity", sparsity_json(tally.sparsity)},
          {"config", config}};
}

void print_table(const Tally& tally) {
  fmt::print("{:<24}{:>8}{:>8}\n", "task / length", "right", "asked");
  for (const auto& [cell, score] : tally.cells)
    fmt::print("{:<24}{:>8}{:>8}\n", fmt::format("{}/{}", cell.first, cell.second), score.right, score.asked);
  fmt::print("accuracy {:.3f} on {} questions", tally.all.share(), tally.all.asked);
  if (tally.sparsity.active)
    fmt::print(", {:.1f} % of the pages read under {}", 100 * tally.sparsity.read_fraction(), tally.sparsity.flow);
  fmt::print("\n");
}

class EvalRecallCommand final : public Command {
 public:
  std::string_view name() const override { return "eval recall"; }
  std::string_view summary() const override { return "Accuracy on questions about long documents"; }
  unsigned settings() const override { return kEvalCommand; }

  void add_options(CLI::App& app) override {
    model_.add_to(app, /*positional=*/false);
    app.add_option("--data", data_, "JSON lines of messages, answer, task, length; may be gzipped")->required();
    app.add_option("--limit", limit_, "At most this many questions")->check(CLI::PositiveNumber);
    app.add_option("--tasks", tasks_, "Only these tasks")->delimiter(',');
    app.add_option("--lengths", lengths_, "Only these lengths")->delimiter(',');
    app.add_flag("--json", json_, "Print one JSON object");
  }

  Status run(const Settings& settings) override {
    VORTEX_ASSIGN_OR_RETURN(std::vector<RecallRow> rows, read_recall_data(data_));
    VORTEX_ASSIGN_OR_RETURN(rows, select(std::move(rows)));
    VORTEX_ASSIGN_OR_RETURN(const EngineOptions options, model_.engine_options(settings));
    VORTEX_ASSIGN_OR_RETURN(auto engine, model_.start(options));
    VORTEX_ASSIGN_OR_RETURN(const Tally tally, ask(*engine, rows));
    if (json_) {
      Json config = {{"model", model_.model}, {"max_new_tokens", kMaxNewTokens}};
      config["vortex"] = options.vortex ? Json::parse(to_json(*options.vortex)) : Json(nullptr);
      print_json(tally_json(tally, config));
    } else {
      print_table(tally);
    }
    return {};
  }

 private:
  Result<std::vector<RecallRow>> select(std::vector<RecallRow> rows) const {
    const std::set<std::string> tasks(tasks_.begin(), tasks_.end());
    const std::set<int64_t> lengths(lengths_.begin(), lengths_.end());
    std::erase_if(rows, [&](const RecallRow& row) {
      return (!tasks.empty() && !tasks.contains(row.task)) || (!lengths.empty() && !lengths.contains(row.length));
    });
    if (limit_ > 0 && static_cast<int64_t>(rows.size()) > limit_) rows.resize(static_cast<size_t>(limit_));
    if (rows.empty())
      return Error{ErrorCode::kInvalidArgument, data_, "no question is left", "check --tasks, --lengths and --limit"};
    return rows;
  }

  /// One question after the other: the answer to one never depends on another, and each prompt fills the machine.
  Result<Tally> ask(Engine& engine, const std::vector<RecallRow>& rows) const {
    Tally tally;
    Progress bar("questions", rows.size(), "", model_.quiet);
    for (size_t i = 0; i < rows.size(); ++i) {
      const Result<Completion> completion = answer(engine, rows[i]);
      if (!completion.ok()) {
        Error error = completion.error();
        error.where = fmt::format("{}:{}: {}", data_, rows[i].line, error.where);
        return error;
      }
      tally.add(rows[i], *completion);
      bar.update(i + 1);
    }
    bar.finish();
    return tally;
  }

  static Result<Completion> answer(Engine& engine, const RecallRow& row) {
    GenerateRequest request;
    VORTEX_ASSIGN_OR_RETURN(request.prompt, encode_messages(engine, row.messages));
    request.sampling.temperature = 0.0;
    request.sampling.max_tokens = kMaxNewTokens;
    return engine.generate(std::move(request));
  }

  ModelOptions model_;
  std::string data_;
  int64_t limit_ = 0;
  std::vector<std::string> tasks_;
  std::vector<int64_t> lengths_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_eval_recall_command() { return std::make_unique<EvalRecallCommand>(); }

}  // namespace vortex::cli
