#include "flow/explain.h"

#include <fmt/core.h>

#include <set>

#include "flow/ir/print.h"

namespace vortex::flow {
namespace {

std::string list_nodes(const Graph& graph, const Program& program) {
  std::string text;
  for (const auto& group : list_groups(graph, program))
    for (const std::string& node : group) text += fmt::format("    {}\n", node);
  return text;
}

std::string describe_written(const Graph& graph) {
  return fmt::format("As written\n  forward_cache\n{}  forward_indexer\n{}", list_nodes(graph, graph.cache),
                     list_nodes(graph, graph.indexer));
}

std::string describe_passes(const std::vector<PassReport>& passes) {
  std::string text = "Passes\n";
  for (const PassReport& pass : passes) {
    text += fmt::format("  {}{}\n", pass.pass, !pass.ran ? ": off" : pass.notes.empty() ? ": nothing to do" : "");
    for (const std::string& note : pass.notes) text += fmt::format("    {}\n", note);
  }
  return text;
}

void list_rounding(const Plan& plan, const ProgramPlan& program, std::vector<std::string>* out) {
  const std::vector<int> group = group_of_nodes(program.program);
  for (size_t v = 0; v < program.program.values.size(); ++v) {
    if (!program.leaves[v] || program.program.values[v].type.format == Format::kPages) continue;
    std::set<int> readers;
    for (size_t n = 0; n < program.program.nodes.size(); ++n)
      for (ValueId in : program.program.nodes[n].inputs)
        if (in == static_cast<ValueId>(v) && group[n] != group[static_cast<size_t>(program.program.values[v].producer)])
          readers.insert(group[n]);
    std::string list;
    for (int reader : readers) list += fmt::format("{}{}", list.empty() ? "" : ", ", reader);
    out->push_back(fmt::format("{}: {} to {}, for group {}", side_method(program.program.side),
                               print_value(plan.graph, program.program, static_cast<ValueId>(v)),
                               dtype_info(plan.dtype).name, list));
  }
}

void list_query_rounding(const Plan& plan, std::vector<std::string>* out) {
  const Program& program = plan.indexer.program;
  for (size_t n = 0; n < program.nodes.size(); ++n)
    if (plan.rounds_query(program, program.nodes[n]))
      out->push_back(fmt::format("forward_indexer: {} to 8 bits a row, for %{}",
                                 print_value(plan.graph, program, program.nodes[n].inputs[0]), n));
}

std::string describe_rounding(const Plan& plan) {
  std::string text = "Rounding (float32 everywhere else)\n";
  for (const std::string& place : rounding_places(plan)) text += fmt::format("  {}\n", place);
  return text;
}

std::string describe_cost(const FlowCost& cost, std::string_view base, const MachineRate& machine, int64_t pages) {
  const double share = 100.0 * static_cast<double>(cost.metadata_bytes) / static_cast<double>(cost.kv_bytes);
  std::string text = fmt::format("Cost\n  scoring reads {} bytes a page, {:.1f} % of the {} bytes of its {}\n",
                                 cost.metadata_bytes, share, cost.kv_bytes, base);
  for (size_t g = 0; g < cost.groups.size(); ++g) {
    const GroupCost& group = cost.groups[g];
    text += fmt::format("  group {}: {} bytes of fields, {} numbers in buffers, {} operations a page; {} a row\n", g,
                        group.field_bytes, group.buffer_numbers, group.page_flops, group.row_flops);
  }
  text += fmt::format("  forward_cache: {} operations a page\n", cost.update_flops);
  const double us = predicted_us(cost, machine, pages);
  const double dense = static_cast<double>(pages * cost.kv_bytes) / (machine.read_gb_per_s * 1e3);
  return text + fmt::format(
                    "  predicted for {} pages: {:.1f} us a row by one thread at {} GB/s and {} GFLOP/s, {:.1f} % "
                    "of the {:.1f} us that reading all {} takes\n",
                    pages, us, machine.read_gb_per_s, machine.gflop_per_s, 100 * us / dense, dense, base);
}

}  // namespace

Result<Explanation> explain(const Graph& graph, DType dtype, DType kv_dtype, const PassOptions& passes) {
  Explanation out;
  out.written = graph;
  Graph compiled = graph;
  VORTEX_RETURN_IF_ERROR(run_passes(passes, &compiled, &out.passes));
  VORTEX_ASSIGN_OR_RETURN(out.plan, make_plan(std::move(compiled), dtype, kv_dtype));
  out.cost = cost_of(out.plan);
  return out;
}

std::vector<std::vector<std::string>> list_groups(const Graph& graph, const Program& program) {
  std::vector<std::vector<std::string>> groups;
  for (const auto& group : program.groups) {
    auto& nodes = groups.emplace_back();
    for (NodeId n : group) nodes.push_back(print_node(graph, program, n));
  }
  return groups;
}

std::vector<std::string> rounding_places(const Plan& plan) {
  std::vector<std::string> places;
  list_rounding(plan, plan.cache, &places);
  for (const FieldSpec& field : plan.declared_fields())
    places.push_back(fmt::format("field {} to {}", field.name, dtype_info(field.dtype).name));
  list_query_rounding(plan, &places);
  list_rounding(plan, plan.indexer, &places);
  return places;
}

std::string to_text(const Explanation& explanation, const MachineRate& machine, int64_t pages) {
  const bool latent = explanation.plan.graph.shape.latent();
  return describe_written(explanation.written) + describe_passes(explanation.passes) + "As run\n" +
         explanation.plan.to_string() + describe_rounding(explanation.plan) +
         describe_cost(explanation.cost, latent ? "latents" : "K and V", machine, pages);
}

}  // namespace vortex::flow
