#include "flow/passes/common_subexpressions.h"

#include <fmt/core.h>

#include <algorithm>

namespace vortex::flow {
namespace {

/// Multiply commutes to the bit; Maximum and Minimum do not where a NaN comes in.
bool same_inputs(Op op, const std::vector<ValueId>& a, const std::vector<ValueId>& b) {
  if (a == b) return true;
  return op == Op::kMultiply && a[0] == b[1] && a[1] == b[0];
}

bool same_value(const Node& a, const Node& b) {
  return a.op == b.op && a.output != kNoValue && same_inputs(a.op, a.inputs, b.inputs) && a.attributes == b.attributes;
}

void share_in_program(Program* program, PassNotes* notes) {
  std::vector<ValueId> renamed(program->values.size());
  for (size_t v = 0; v < renamed.size(); ++v) renamed[v] = static_cast<ValueId>(v);
  for (auto node = program->nodes.begin(); node != program->nodes.end(); ++node) {
    for (ValueId& v : node->inputs) v = renamed[static_cast<size_t>(v)];
    const auto first = std::find_if(program->nodes.begin(), node, [&](const Node& n) { return same_value(n, *node); });
    if (first == node) continue;
    renamed[static_cast<size_t>(node->output)] = first->output;
    notes->push_back(fmt::format("{} at {}: made at {} already", op_info(node->op).name, node->where, first->where));
  }
}

}  // namespace

void share_common_subexpressions(Graph* graph, PassNotes* notes) {
  for (Program* program : {&graph->cache, &graph->indexer}) share_in_program(program, notes);
}

}  // namespace vortex::flow
