#include <fmt/core.h>

#include <algorithm>

#include "cli/command.h"
#include "cli/flow_target.h"
#include "cli/report.h"
#include "engine/preflight/preflight.h"
#include "loader/hub/named_config.h"

namespace vortex::cli {
namespace {

class FlowCheckCommand final : public Command {
 public:
  std::string_view name() const override { return "flow check"; }
  std::string_view summary() const override {
    return "Pre-flight of a flow or a VortexConfig, for a model or many shapes";
  }
  void add_options(CLI::App& app) override {
    app.add_option("target", target_, "A flow's name or file, a VortexConfig's file, or its JSON")->required();
    app.add_option("--model,-m", model_, "Check against this model's shapes");
    app.add_flag("--sweep", sweep_, "Compile for many shapes too (done anyway without a model)");
    app.add_flag("--json", json_, "Print one JSON object");
  }

  Status run(const Settings& settings) override {
    VORTEX_ASSIGN_OR_RETURN(const VortexConfig config, read_flow_target(target_));
    std::optional<ModelConfig> model;
    if (!model_.empty()) {
      VORTEX_ASSIGN_OR_RETURN(model, read_model_config(model_));
    }
    const std::vector<Finding> findings =
        preflight(config, model ? &*model : nullptr,
                  {.sweep = sweep_ || !model, .compressor_ckpt = model ? settings.get_string("compressor-ckpt") : ""});
    print(findings);
    const auto errors = std::count_if(findings.begin(), findings.end(),
                                      [](const Finding& f) { return f.severity == Severity::kError; });
    if (errors == 0) return {};
    return Error{ErrorCode::kConfiguration, target_, fmt::format("{} problem{}", errors, errors == 1 ? "" : "s"),
                 "listed above"};
  }

 private:
  void print(const std::vector<Finding>& findings) const {
    if (!json_) {
      for (const Finding& finding : findings) fmt::print("{}\n", finding.to_string());
      return;
    }
    Json list = Json::array();
    for (const Finding& f : findings)
      list.push_back(
          {{"severity", severity_name(f.severity)}, {"where", f.where}, {"message", f.message}, {"hint", f.hint}});
    print_json({{"target", target_}, {"findings", list}});
  }

  std::string target_, model_;
  bool sweep_ = false, json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_flow_check_command() { return std::make_unique<FlowCheckCommand>(); }

}  // namespace vortex::cli
