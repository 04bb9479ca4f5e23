#include <cstdio>

#include "base/progress.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "cli/prompt.h"
#include "cli/report.h"
#include "cli/variant_options.h"
#include "engine/fidelity.h"
#include "eval/fidelity_text.h"
#include "eval/report_json.h"

namespace vortex::cli {
namespace {

class EvalFidelityCommand final : public Command {
 public:
  std::string_view name() const override { return "eval fidelity"; }
  std::string_view summary() const override { return "How close flows stay to dense attention, on any text"; }
  unsigned settings() const override { return kEvalCommand; }

  void add_options(CLI::App& app) override {
    model_.add_model_to(app, /*positional=*/false);
    app.add_option("--text", text_, "Any text; - is standard input")->required();
    app.add_option("--tokens", tokens_, "Tokens of the text to use")
        ->check(CLI::Range(3, 1 << 24))
        ->capture_default_str();
    app.add_option("--tail", tail_, "The last of these, decoded one by one")
        ->check(CLI::Range(2, 1 << 20))
        ->capture_default_str();
    app.add_flag("--json", json_, "Print one JSON object");
    variant_options_.add_to(app);
  }

  Status run(const Settings& settings) override {
    if (tail_ >= tokens_)
      return Error{ErrorCode::kUsage, "--tail", fmt::format("{} of {} tokens leave no prompt", tail_, tokens_),
                   "lower --tail or raise --tokens"};
    VORTEX_ASSIGN_OR_RETURN(const std::string text, read_text(text_));
    VORTEX_ASSIGN_OR_RETURN(auto variants, variant_options_.variants());
    variants_ = eval::with_dense_first(std::move(variants));
    VORTEX_ASSIGN_OR_RETURN(EngineOptions options, model_.engine_options(settings));
    VORTEX_RETURN_IF_ERROR(model_.resolve(&options));
    VORTEX_ASSIGN_OR_RETURN(const auto lab, FlowLab::create(options, eval::lab_variants(variants_)));
    VORTEX_ASSIGN_OR_RETURN(const std::vector<int32_t> tokens, eval::first_tokens(*lab, text, tokens_, text_));
    const auto runs = static_cast<int64_t>(variants_.size());
    Progress bar("tokens", static_cast<uint64_t>(tokens_ + (runs - 1) * tail_), "tok", model_.quiet);
    VORTEX_ASSIGN_OR_RETURN(const std::vector<Fidelity> results,
                            measure_fidelity(*lab, tokens, tail_, [&](int64_t done) {
                              bar.update(static_cast<uint64_t>(done));
                              return true;
                            }));
    bar.finish();
    if (json_) {
      print_json(eval::fidelity_json(*lab, variants_, results, {model_.model, text_, tokens_, tail_}));
    } else {
      print(results);
    }
    return {};
  }

 private:
  void print(const std::vector<Fidelity>& results) const {
    const int width = name_width(variants_);
    fmt::print("{:<{}}{:>10}{:>12}{:>10}{:>8}{:>9}{:>9}\n", "variant", width, "KL", "perplexity", "same top", "mass",
               "pages %", "bytes %");
    for (size_t i = 0; i < results.size(); ++i) {
      const Fidelity& f = results[i];
      fmt::print("{:<{}}{:>10.5f}{:>12.3f}{:>10.3f}{:>8.3f}{:>9.1f}{:>9.1f}\n", variants_[i].lab.name, width, f.kl,
                 f.perplexity, f.top_agreement, f.mean_mass(), 100 * f.reads.sparsity.read_fraction(),
                 100 * f.reads.byte_fraction());
    }
  }

  ModelOptions model_;
  VariantOptions variant_options_;
  std::vector<EvalVariant> variants_;
  std::string text_;
  int64_t tokens_ = 4096, tail_ = 128;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_eval_fidelity_command() { return std::make_unique<EvalFidelityCommand>(); }

}  // namespace vortex::cli
