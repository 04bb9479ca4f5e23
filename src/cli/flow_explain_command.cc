#include <fmt/core.h>

#include <optional>

#include "cli/command.h"
#include "cli/flow_target.h"
#include "cli/report.h"
#include "engine/flow_setup.h"
#include "flow/explain.h"
#include "loader/hub/named_config.h"

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

Json shape_json(const flow::GraphShape& shape) {
  Json out = {{"attention", shape.attention()},
              {"group", shape.group},
              {"head_dim", shape.head_dim},
              {"block_size", shape.page_tokens}};
  if (shape.latent()) out["kv_lora_rank"] = shape.kv_lora_rank;
  return out;
}

class FlowExplainCommand final : public Command {
 public:
  std::string_view name() const override { return "flow explain"; }
  std::string_view summary() const override { return "What a flow becomes when it is compiled, and what it costs"; }
  void add_options(CLI::App& app) override {
    app.add_option("target", target_, "A flow's name or file, a VortexConfig's file, or its JSON")->required();
    app.add_option("--model,-m", model_, "Take group and head_dim from this model");
    app.add_option("--group", group_, "Query heads a kv head (4; 16 over latents)")->check(CLI::Range(1, 1024));
    app.add_option("--head-dim", head_dim_, "Width of a key or a latent (128; 576)")->check(CLI::Range(1, 4096));
    app.add_option("--kv-lora-rank", kv_lora_rank_, "Numbers of a latent without position (512)")
        ->check(CLI::Range(1, 4096));
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
    const int page_tokens = block_size_ > 0 ? block_size_ : static_cast<int>(config.block_size);
    VORTEX_ASSIGN_OR_RETURN(const auto source, load_flow(config));
    flow::GraphShape shape = usual_shape(source->attention(), page_tokens);
    if (!model_.empty()) {
      VORTEX_ASSIGN_OR_RETURN(const ModelConfig model, read_model_config(model_));
      shape = flow_shape(model, page_tokens);
    }
    VORTEX_ASSIGN_OR_RETURN(const flow::Graph graph, source->trace(shape));
    VORTEX_ASSIGN_OR_RETURN(const flow::Explanation explanation,
                            flow::explain(graph, config.field_dtype(), DType::kBF16, {off_}));
    print(explanation);
    return {};
  }

 private:
  /// What the options say, or else what is common.
  flow::GraphShape usual_shape(AttentionKind kind, int page_tokens) const {
    if (kind == AttentionKind::kGqa) return {group_.value_or(4), head_dim_.value_or(128), page_tokens};
    return {group_.value_or(16), head_dim_.value_or(576), page_tokens, kv_lora_rank_.value_or(512)};
  }

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
                {"shape", shape_json(e.plan.graph.shape)},
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
  std::optional<int> group_, head_dim_, kv_lora_rank_;
  int block_size_ = 0;
  int64_t pages_ = 4096;
  std::vector<std::string> off_;
  flow::MachineRate machine_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> make_flow_explain_command() { return std::make_unique<FlowExplainCommand>(); }

}  // namespace vortex::cli
