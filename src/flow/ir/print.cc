#include "flow/ir/print.h"

#include <fmt/core.h>

namespace vortex::flow {
namespace {

std::string print_attributes(const Graph& graph, const Node& node) {
  const Attributes defaults = default_attributes(node.op);
  std::string text;
  const auto item = [&](std::string_view key, const auto& value) { text += fmt::format(", {}={}", key, value); };
  for (const IntAttribute& a : int_attributes())
    if (has_attribute(node.op, a.flag)) item(a.key, node.attributes.*a.member);
  for (const FloatAttribute& a : float_attributes())
    if (has_attribute(node.op, a.flag) && node.attributes.*a.member != defaults.*a.member)
      item(a.key, node.attributes.*a.member);
  if (has_attribute(node.op, kNamed)) item("parameter", node.attributes.parameter);
  if (has_attribute(node.op, kField)) text += ", @" + graph.fields[static_cast<size_t>(node.attributes.field)].name;
  return text;
}

}  // namespace

std::string print_value(const Graph& graph, const Program& program, ValueId value) {
  const NodeId producer = program.values[static_cast<size_t>(value)].producer;
  if (producer >= 0) return fmt::format("%{}", producer);
  if (program.side == kIndexer && value == kQueryValue) return "q";
  return fmt::format("@{}", graph.field_name(value_field(program.side, value)));
}

std::string print_node(const Graph& graph, const Program& program, NodeId id) {
  const Node& node = program.node(id);
  std::string arguments;
  for (ValueId v : node.inputs) arguments += ", " + print_value(graph, program, v);
  arguments += print_attributes(graph, node);
  if (!arguments.empty()) arguments.erase(0, 2);
  const std::string call = fmt::format("{}({})", op_info(node.op).name, arguments);
  if (node.output == kNoValue) return call;
  return fmt::format("%{} = {} : {}", id, call, to_string(program.type(node.output), program.side));
}

std::string print_program(const Graph& graph, const Program& program) {
  std::string text;
  for (size_t g = 0; g < program.groups.size(); ++g) {
    text += fmt::format("  group {}\n", g);
    for (NodeId n : program.groups[g]) text += fmt::format("    {}\n", print_node(graph, program, n));
  }
  return text;
}

std::string print_graph(const Graph& graph) {
  std::string text = fmt::format("flow {} group={} head_dim={} page_tokens={}{}\n", graph.name, graph.shape.group,
                                 graph.shape.head_dim, graph.shape.page_tokens, graph.shape.latent() ? " latent" : "");
  for (const FieldDecl& f : graph.fields)
    text += fmt::format("field {} [{}, {}] {}\n", f.name, f.rows, f.cols, storage_name(f.storage));
  text += "cache\n" + print_program(graph, graph.cache);
  return text + "indexer\n" + print_program(graph, graph.indexer);
}

}  // namespace vortex::flow
