#include <cstdio>
#include <map>

#include "base/files.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/report.h"
#include "cli/svg_plot.h"
#include "cli/variant_options.h"
#include "eval/recall.h"
#include "eval/report_json.h"

namespace vortex::cli {
namespace {

using eval::Tally;

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
    app.add_option("--limit", filter_.limit, "At most this many questions")->check(CLI::PositiveNumber);
    app.add_option("--tasks", filter_.tasks, "Only these tasks")->delimiter(',');
    app.add_option("--lengths", filter_.lengths, "Only these lengths")->delimiter(',');
    app.add_option("--plot", plot_, "Draw accuracy against what was read, as FILE.svg");
    app.add_flag("--json", json_, "Print one JSON object");
    variant_options_.add_to(app);
  }

  Status run(const Settings& settings) override {
    VORTEX_RETURN_IF_ERROR(check_plot());
    VORTEX_ASSIGN_OR_RETURN(std::vector<eval::RecallRow> rows, eval::read_recall_data(data_));
    VORTEX_ASSIGN_OR_RETURN(rows, eval::choose_rows(std::move(rows), filter_, data_));
    VORTEX_ASSIGN_OR_RETURN(variants_, variant_options_.variants());
    VORTEX_ASSIGN_OR_RETURN(EngineOptions options, model_.engine_options(settings));
    VORTEX_RETURN_IF_ERROR(model_.resolve(&options));
    VORTEX_ASSIGN_OR_RETURN(const auto lab, FlowLab::create(options, eval::lab_variants(variants_)));
    VORTEX_ASSIGN_OR_RETURN(const std::vector<Tally> tallies, ask(*lab, rows));
    if (json_) {
      print_json(tallies.size() == 1 ? eval::recall_json(variants_[0], tallies[0], model_.model)
                                     : eval::recall_json(*lab, variants_, tallies, model_.model));
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

  Result<std::vector<Tally>> ask(FlowLab& lab, const std::vector<eval::RecallRow>& rows) const {
    Progress bar(variants_.size() == 1 ? "questions" : "answers", rows.size() * variants_.size(), "", model_.quiet);
    auto tallies = eval::ask_recall(lab, rows, [&](int64_t done) {
      bar.update(static_cast<uint64_t>(done));
      return true;
    });
    if (tallies.ok()) bar.finish();
    return tallies;
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
  eval::RecallFilter filter_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_eval_recall_command() { return std::make_unique<EvalRecallCommand>(); }

}  // namespace vortex::cli
