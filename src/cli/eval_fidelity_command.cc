#include <cstdio>

#include "base/progress.h"
#include "cli/command.h"
#include "cli/eval_variants.h"
#include "cli/model_options.h"
#include "cli/prompt.h"
#include "cli/report.h"
#include "engine/fidelity.h"

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
    VORTEX_ASSIGN_OR_RETURN(variants_, variant_options_.variants());
    if (variants_.front().lab.config) variants_.insert(variants_.begin(), {{"dense", std::nullopt}, "dense"});
    VORTEX_ASSIGN_OR_RETURN(EngineOptions options, model_.engine_options(settings));
    VORTEX_RETURN_IF_ERROR(model_.resolve(&options));
    VORTEX_ASSIGN_OR_RETURN(const auto lab, FlowLab::create(options, lab_variants(variants_)));
    VORTEX_ASSIGN_OR_RETURN(const std::vector<int32_t> tokens, encode(*lab, text));
    const auto runs = static_cast<int64_t>(variants_.size());
    Progress bar("tokens", static_cast<uint64_t>(tokens_ + (runs - 1) * tail_), "tok", model_.quiet);
    VORTEX_ASSIGN_OR_RETURN(
        const std::vector<Fidelity> results,
        measure_fidelity(*lab, tokens, tail_, [&](int64_t done) { bar.update(static_cast<uint64_t>(done)); }));
    bar.finish();
    if (json_) {
      print_json(report(*lab, results));
    } else {
      print(results);
    }
    return {};
  }

 private:
  Result<std::vector<int32_t>> encode(const FlowLab& lab, const std::string& text) const {
    if (lab.codec() == nullptr)
      return Error{ErrorCode::kUnsupported, "eval fidelity", "the model has no tokenizer", "use one that has"};
    std::vector<int32_t> tokens = lab.codec()->encode(text);
    if (static_cast<int64_t>(tokens.size()) < tokens_)
      return Error{ErrorCode::kInvalidArgument, text_,
                   fmt::format("has {} tokens, --tokens asks for {}", tokens.size(), tokens_),
                   "lower --tokens or give a longer text"};
    tokens.resize(static_cast<size_t>(tokens_));
    return tokens;
  }

  Json report(const FlowLab& lab, const std::vector<Fidelity>& results) const {
    Json entries = Json::array();
    for (size_t i = 0; i < results.size(); ++i) {
      const Fidelity& f = results[i];
      entries.push_back({{"name", variants_[i].lab.name},
                         {"kl", f.kl},
                         {"perplexity", f.perplexity},
                         {"top_token_agreement", f.top_agreement},
                         {"attention_mass", {{"mean", f.mean_mass()}, {"by_layer", f.mass}}},
                         {"sparsity", sparsity_json(f.reads.sparsity)},
                         {"bytes", bytes_json(lab, i, f.reads)},
                         {"vortex", config_json(variants_[i].lab)}});
    }
    return {{"variants", entries},
            {"config", {{"model", model_.model}, {"text", text_}, {"tokens", tokens_}, {"tail", tail_}}}};
  }

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
