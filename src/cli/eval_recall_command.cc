#include <cstdio>
#include <map>
#include <set>

#include "base/files.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/eval_variants.h"
#include "cli/json_lines.h"
#include "cli/model_options.h"
#include "cli/prompt.h"
#include "cli/recall_data.h"
#include "cli/report.h"
#include "cli/svg_plot.h"

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
  LabReads reads;

  void add(const RecallRow& row, const LabAnswer& answer) {
    const bool ok = answer.text.find(row.answer) != std::string::npos;
    all.add(ok);
    by_task[row.task].add(ok);
    by_length[row.length].add(ok);
    cells[{row.task, row.length}].add(ok);
    reads.add(answer.reads);
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
          {"sparsity", sparsity_json(tally.reads.sparsity)},
          {"config", config}};
}

void print_cells(const Tally& tally) {
  fmt::print("{:<24}{:>8}{:>8}\n", "task / length", "right", "asked");
  for (const auto& [cell, score] : tally.cells)
    fmt::print("{:<24}{:>8}{:>8}\n", fmt::format("{}/{}", cell.first, cell.second), score.right, score.asked);
  const SparsityReport& sparsity = tally.reads.sparsity;
  fmt::print("accuracy {:.3f} on {} questions", tally.all.share(), tally.all.asked);
  if (sparsity.active)
    fmt::print(", {:.1f} % of the pages read under {}", 100 * sparsity.read_fraction(), sparsity.flow);
  fmt::print("\n");
}

class EvalRecallCommand final : public Command {
 public:
  std::string_view name() const override { return "eval recall"; }
  std::string_view summary() const override { return "Accuracy on questions about long documents"; }
  unsigned settings() const override { return kEvalCommand; }

  void add_options(CLI::App& app) override {
    model_.add_model_to(app, /*positional=*/false);
    app.add_option("--data", data_, "JSON lines of messages, answer, task, length; may be gzipped")->required();
    app.add_option("--limit", limit_, "At most this many questions")->check(CLI::PositiveNumber);
    app.add_option("--tasks", tasks_, "Only these tasks")->delimiter(',');
    app.add_option("--lengths", lengths_, "Only these lengths")->delimiter(',');
    app.add_option("--plot", plot_, "Draw accuracy against what was read, as FILE.svg");
    app.add_flag("--json", json_, "Print one JSON object");
    variant_options_.add_to(app);
  }

  Status run(const Settings& settings) override {
    VORTEX_RETURN_IF_ERROR(check_plot());
    VORTEX_ASSIGN_OR_RETURN(std::vector<RecallRow> rows, read_recall_data(data_));
    VORTEX_ASSIGN_OR_RETURN(rows, select(std::move(rows)));
    VORTEX_ASSIGN_OR_RETURN(variants_, variant_options_.variants());
    VORTEX_ASSIGN_OR_RETURN(EngineOptions options, model_.engine_options(settings));
    VORTEX_RETURN_IF_ERROR(model_.resolve(&options));
    VORTEX_ASSIGN_OR_RETURN(const auto lab, FlowLab::create(options, lab_variants(variants_)));
    VORTEX_ASSIGN_OR_RETURN(const std::vector<Tally> tallies, ask(*lab, rows));
    if (json_) {
      print_json(report(*lab, tallies));
    } else {
      print(tallies);
    }
    return plot_.empty() ? Status() : write_file_atomically(plot_, render_svg(draw(tallies, rows.size())));
  }

 private:
  Status check_plot() const {
    if (plot_.empty() || plot_.ends_with(".svg")) return {};
    return Error{ErrorCode::kUsage, "--plot", fmt::format("'{}' does not end in .svg, the only format written", plot_),
                 "give FILE.svg; rsvg-convert or a browser makes other formats of it"};
  }

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
  Result<std::vector<Tally>> ask(FlowLab& lab, const std::vector<RecallRow>& rows) const {
    VORTEX_ASSIGN_OR_RETURN(const auto prompts, encode(lab, rows));
    size_t longest = 0;
    for (const auto& prompt : prompts) longest = std::max(longest, prompt.size());
    VORTEX_RETURN_IF_ERROR(lab.reserve(static_cast<int64_t>(longest), kMaxNewTokens));
    std::vector<Tally> tallies(variants_.size());
    Progress bar(variants_.size() == 1 ? "questions" : "answers", rows.size() * variants_.size(), "", model_.quiet);
    for (size_t i = 0; i < rows.size(); ++i) {
      const Status ready = lab.prefill(prompts[i], [](int64_t) {});
      if (!ready.ok()) return at_line(rows[i].where, ready.error());
      for (size_t v = 0; v < variants_.size(); ++v) {
        const Result<LabAnswer> answer = lab.answer(v, kMaxNewTokens);
        if (!answer.ok()) return at_line(rows[i].where, answer.error());
        tallies[v].add(rows[i], *answer);
        bar.update(i * variants_.size() + v + 1);
      }
    }
    bar.finish();
    return tallies;
  }

  static Result<std::vector<std::vector<int32_t>>> encode(const FlowLab& lab, const std::vector<RecallRow>& rows) {
    std::vector<std::vector<int32_t>> prompts;
    for (const RecallRow& row : rows) {
      auto prompt = encode_conversation(lab.codec(), {{"messages", row.messages}});
      if (!prompt.ok()) return at_line(row.where, prompt.error());
      prompts.push_back(std::move(prompt).value());
    }
    return prompts;
  }

  Json report(const FlowLab& lab, const std::vector<Tally>& tallies) const {
    Json config = {{"model", model_.model}, {"max_new_tokens", kMaxNewTokens}};
    Json entries = Json::array();
    for (size_t i = 0; i < tallies.size(); ++i) {
      Json own = config;
      own["vortex"] = config_json(variants_[i].lab);
      if (tallies.size() == 1) return tally_json(tallies[i], own);
      Json entry = {{"name", variants_[i].lab.name}};
      entry.update(tally_json(tallies[i], own));
      entry["bytes"] = bytes_json(lab, i, tallies[i].reads);
      entries.push_back(std::move(entry));
    }
    return {{"variants", entries}, {"config", config}};
  }

  void print(const std::vector<Tally>& tallies) const {
    if (tallies.size() == 1) return print_cells(tallies[0]);
    const int width = name_width(variants_);
    fmt::print("{:<{}}{:>9}{:>7}{:>7}{:>9}{:>9}\n", "variant", width, "accuracy", "right", "asked", "pages %",
               "bytes %");
    for (size_t i = 0; i < tallies.size(); ++i) {
      const Tally& t = tallies[i];
      fmt::print("{:<{}}{:>9.3f}{:>7}{:>7}{:>9.1f}{:>9.1f}\n", variants_[i].lab.name, width, t.all.share(), t.all.right,
                 t.all.asked, 100 * t.reads.sparsity.read_fraction(), 100 * t.reads.byte_fraction());
    }
  }

  Plot draw(const std::vector<Tally>& tallies, size_t questions) const {
    Plot plot{.title = fmt::format("{}: {} questions", model_.model, questions), .y_label = "accuracy"};
    plot.panels = {{"pages read, of those held", {}}, {"bytes read, metadata included, of dense", {}}};
    std::map<std::string, size_t> places;
    for (size_t i = 0; i < tallies.size(); ++i) {
      const double accuracy = tallies[i].all.share();
      if (!variants_[i].lab.config) {
        plot.reference_name = variants_[i].lab.name;
        plot.reference = accuracy;
        continue;
      }
      const auto [place, is_new] = places.emplace(variants_[i].series, places.size());
      const LabReads& reads = tallies[i].reads;
      const double shares[] = {reads.sparsity.read_fraction(), reads.byte_fraction()};
      for (size_t p = 0; p < 2; ++p) {
        if (is_new) plot.panels[p].series.push_back({variants_[i].series, {}});
        plot.panels[p].series[place->second].points.push_back({shares[p], accuracy});
      }
    }
    return plot;
  }

  ModelOptions model_;
  VariantOptions variant_options_;
  std::vector<EvalVariant> variants_;
  std::string data_, plot_;
  int64_t limit_ = 0;
  std::vector<std::string> tasks_;
  std::vector<int64_t> lengths_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_eval_recall_command() { return std::make_unique<EvalRecallCommand>(); }

}  // namespace vortex::cli
