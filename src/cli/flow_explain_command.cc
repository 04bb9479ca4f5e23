#include <fmt/core.h>

#include "cli/command.h"
#include "cli/flow_target.h"
#include "cli/report.h"
#include "engine/flow_setup.h"
#include "flow/explain.h"

namespace vortex::cli {
namespace {

Json program_json(const flow::Graph& graph, const flow::ProgramPlan& plan) {
  Json buffers = Json::array();
  for (const flow::BufferPlan& buffer : plan.buffers)
    buffers.push_back({{"numbers", buffer.elements}, {"per", buffer.batched ? "row" : "page"}});
  return {{"groups", flow::list_groups(graph, plan.program)}, {"buffers", buffers}};
}

Json passes_json(const std::vector<flow::PassReport>& passes) {
  Json list = Json::array();
  for (const flow::PassReport& pass : passes)
    list.push_back({{"pass", pass.pass}, {"on", pass.ran}, {"notes", pass.notes}});
  return list;
}

Json cost_json(const flow::FlowCost& cost, const flow::MachineRate& machine, int64_t pages) {
  Json groups = Json::array();
  for (const flow::GroupCost& g : cost.groups)
    groups.push_back({{"field_bytes_per_page", g.field_bytes},
                      {"buffer_numbers_per_page", g.buffer_numbers},
                      {"operations_per_page", g.page_flops},
                      {"operations_per_row", g.row_flops}});
  return {{"metadata_bytes_per_page", cost.metadata_bytes},
          {"kv_bytes_per_page", cost.kv_bytes},
          {"groups", groups},
          {"update_operations_per_page", cost.update_flops},
          {"pages", pages},
          {"predicted_us_per_row", flow::predicted_us(cost, machine, pages)},
          {"machine", {{"read_gb_per_s", machine.read_gb_per_s}, {"gflop_per_s", machine.gflop_per_s}}}};
}

class FlowExplainCommand final : public Command {
 public:
  std::string_view name() const override { return "flow explain"; }
  std::string_view summary() const override { return "What a flow becomes when it is compiled, and what it costs"; }
  void add_options(CLI::App& app) override {
    app.add_option("target", target_, "A flow's name or file, a VortexConfig's file, or its JSON")->required();
    app.add_option("--model,-m", model_, "Take group and head_dim from this model");
    app.add_option("--group", shape_.group, "Query heads a kv head (4)")->check(CLI::Range(1, 1024));
    app.add_option("--head-dim", shape_.head_dim, "Width of a key (128)")->check(CLI::Range(1, 4096));
    app.add_option("--block-size", block_size_, "Tokens of a page (16, or the config's)")->check(CLI::Range(1, 4096));
    app.add_option("--pages", pages_, "Pages of a row in the prediction (4096)")->check(CLI::Range(1, 1 << 30));
    app.add_option("--passes-off", off_, "Passes to leave out, for instance rewrite,fuse")->delimiter(',');
    app.add_option("--read-gb-per-s", machine_.read_gb_per_s, "Memory bandwidth of a thread, for the prediction")
        ->check(CLI::PositiveNumber);
    app.add_option("--gflop-per-s", machine_.gflop_per_s, "Arithmetic of a thread, for the prediction")
        ->check(CLI::PositiveNumber);
    app.add_flag("--json", json_, "Print one JSON object");
  }

  Status run(const Settings&) override {
    VORTEX_ASSIGN_OR_RETURN(const VortexConfig config, read_flow_target(target_));
    VORTEX_RETURN_IF_ERROR(validate(config, 0));
    shape_.page_tokens = block_size_ > 0 ? block_size_ : static_cast<int>(config.block_size);
    if (!model_.empty()) {
      VORTEX_ASSIGN_OR_RETURN(const ModelConfig model, read_model_config(model_));
      shape_.group = model.heads / model.kv_heads;
      shape_.head_dim = model.head_dim;
    }
    VORTEX_ASSIGN_OR_RETURN(const auto source, load_flow(config));
    VORTEX_ASSIGN_OR_RETURN(const flow::Graph graph, source->trace(shape_));
    VORTEX_ASSIGN_OR_RETURN(const flow::Explanation explanation,
                            flow::explain(graph, config.field_dtype(), DType::kBF16, {off_}));
    print(explanation);
    return {};
  }

 private:
  void print(const flow::Explanation& e) const {
    if (!json_) {
      fmt::print("{}", flow::to_text(e, machine_, pages_));
      return;
    }
    Json fields = Json::array();
    for (const FieldSpec& f : e.plan.fields)
      fields.push_back({{"name", f.name},
                        {"rows", f.rows},
                        {"cols", f.cols},
                        {"dtype", dtype_info(f.dtype).name},
                        {"bytes_per_page", f.page_bytes()}});
    print_json({{"flow", e.plan.graph.name},
                {"shape", {{"group", shape_.group}, {"head_dim", shape_.head_dim}, {"block_size", shape_.page_tokens}}},
                {"dtype", dtype_info(e.plan.dtype).name},
                {"written",
                 {{"forward_cache", flow::list_groups(e.written, e.written.cache)},
                  {"forward_indexer", flow::list_groups(e.written, e.written.indexer)}}},
                {"passes", passes_json(e.passes)},
                {"fields", fields},
                {"forward_cache", program_json(e.plan.graph, e.plan.cache)},
                {"forward_indexer", program_json(e.plan.graph, e.plan.indexer)},
                {"rounding", flow::rounding_places(e.plan)},
                {"cost", cost_json(e.cost, machine_, pages_)}});
  }

  std::string target_, model_;
  flow::GraphShape shape_{4, 128, 16, false};
  int block_size_ = 0;
  int64_t pages_ = 4096;
  std::vector<std::string> off_;
  flow::MachineRate machine_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_flow_explain_command() { return std::make_unique<FlowExplainCommand>(); }

}  // namespace vortex::cli
