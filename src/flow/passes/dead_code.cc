#include "flow/passes/dead_code.h"

#include <fmt/core.h>

namespace vortex::flow {

std::vector<bool> live_nodes(const Program& program) {
  std::vector<bool> live(program.nodes.size(), false);
  for (size_t n = program.nodes.size(); n-- > 0;) {
    if (program.nodes[n].output == kNoValue) live[n] = true;  // stores and outputs are what a program is for
    if (!live[n]) continue;
    for (ValueId v : program.nodes[n].inputs) {
      const NodeId producer = program.values[static_cast<size_t>(v)].producer;
      if (producer >= 0) live[static_cast<size_t>(producer)] = true;
    }
  }
  return live;
}

namespace {

void keep_nodes(const std::vector<bool>& live, Program* program, PassNotes* notes) {
  const std::vector<Value> values = std::move(program->values);
  const std::vector<Node> nodes = std::move(program->nodes);
  program->values.clear();
  program->nodes.clear();
  std::vector<ValueId> renamed(values.size(), kNoValue);
  for (size_t v = 0; v < values.size() && values[v].producer < 0; ++v) {
    renamed[v] = static_cast<ValueId>(v);
    program->values.push_back(values[v]);
  }
  for (size_t n = 0; n < nodes.size(); ++n) {
    if (!live[n]) {
      notes->push_back(fmt::format("{} at {}: nobody reads it", op_info(nodes[n].op).name, nodes[n].where));
      continue;
    }
    Node node = nodes[n];
    for (ValueId& v : node.inputs) v = renamed[static_cast<size_t>(v)];
    if (node.output != kNoValue) {
      renamed[static_cast<size_t>(node.output)] = static_cast<ValueId>(program->values.size());
      const Type type = values[static_cast<size_t>(node.output)].type;
      node.output = static_cast<ValueId>(program->values.size());
      program->values.push_back({type, static_cast<NodeId>(program->nodes.size())});
    }
    program->nodes.push_back(std::move(node));
  }
  reset_groups(program);
}

}  // namespace

void remove_dead_code(Graph* graph, PassNotes* notes) {
  for (Program* program : {&graph->cache, &graph->indexer}) keep_nodes(live_nodes(*program), program, notes);
}

}  // namespace vortex::flow
