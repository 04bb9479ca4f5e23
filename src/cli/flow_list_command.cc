#include <fmt/core.h>

#include "cli/command.h"
#include "cli/report.h"
#include "flows/registry.h"

namespace vortex::cli {
namespace {

class FlowListCommand final : public Command {
 public:
  std::string_view name() const override { return "flow list"; }
  std::string_view summary() const override { return "Names of the built-in flows, one a line"; }
  void add_options(CLI::App& app) override {
    app.add_flag("--long,-l", long_, "With the attention it is for and what it does");
    app.add_flag("--json", json_, "Print a JSON list");
  }

  Status run(const Settings&) override {
    Json list = Json::array();
    for (const flows::FlowInfo& flow : flows::list_flows()) {
      const char* const kind = flow.attention == AttentionKind::kMla ? "mla" : "gqa";
      if (json_) {
        list.push_back({{"name", flow.name}, {"attention", kind}, {"summary", flow.summary}});
      } else if (long_) {
        fmt::print("{:<36}{}  {}\n", flow.name, kind, flow.summary);
      } else {
        fmt::print("{}\n", flow.name);
      }
    }
    if (json_) print_json(list);
    return {};
  }

 private:
  bool long_ = false, json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_flow_list_command() { return std::make_unique<FlowListCommand>(); }

}  // namespace vortex::cli
