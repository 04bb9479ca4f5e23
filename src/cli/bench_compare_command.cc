#include <algorithm>
#include <cstdio>

#include "cli/command.h"
#include "cli/report.h"
#include "eval/comparison.h"

namespace vortex::cli {
namespace {

class BenchCompareCommand final : public Command {
 public:
  std::string_view name() const override { return "bench compare"; }
  std::string_view summary() const override { return "Ratios between results of bench latency"; }

  void add_options(CLI::App& app) override {
    app.add_option("files", files_,
                   "Results of `bench latency --json`, one or several runs each; the first is the base")
        ->required()
        ->expected(2, 32);
    app.add_flag("--json", json_, "Print one JSON object");
  }

  Status run(const Settings&) override {
    std::vector<eval::Runs> contenders;
    for (const std::string& file : files_) {
      VORTEX_ASSIGN_OR_RETURN(eval::Runs runs, eval::read_runs(file));
      contenders.push_back(std::move(runs));
    }
    VORTEX_ASSIGN_OR_RETURN(const auto figures, eval::compare(contenders));
    if (json_) {
      print_json(report(contenders, figures));
    } else {
      print(contenders, figures);
    }
    return {};
  }

 private:
  static Json report(const std::vector<eval::Runs>& contenders, const std::vector<eval::ComparedFigure>& figures) {
    Json out = {{"contenders", Json::array()}, {"figures", Json::object()}};
    for (const eval::Runs& c : contenders) out["contenders"].push_back({{"file", c.name}, {"runs", c.runs.size()}});
    for (const eval::ComparedFigure& f : figures)
      out["figures"][f.name] = {{"medians", f.medians}, {"ratios", f.ratios}};
    return out;
  }

  /// Nothing where one of the two did none of it, as dense attention selects nothing.
  static std::string ratio_text(double ratio) { return ratio > 0 ? fmt::format("({:.2f}x)", ratio) : ""; }

  static void print(const std::vector<eval::Runs>& contenders, const std::vector<eval::ComparedFigure>& figures) {
    for (size_t i = 0; i < contenders.size(); ++i)
      fmt::print("{}: {}, median of {}\n", i, contenders[i].name, contenders[i].runs.size());
    for (const eval::ComparedFigure& figure : figures) {
      fmt::print("{:<22}{:>12.4g}", figure.name, figure.medians[0]);
      for (size_t i = 1; i < figure.medians.size(); ++i)
        fmt::print("{:>12.4g} {:>8}", figure.medians[i], ratio_text(figure.ratios[i]));
      fmt::print("\n");
    }
  }

  std::vector<std::string> files_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_bench_compare_command() { return std::make_unique<BenchCompareCommand>(); }

}  // namespace vortex::cli
