#include "flow/plan/cost.h"

#include <algorithm>
#include <bit>

namespace vortex::flow {
namespace {

constexpr int64_t kTranscendental = 10;  // a polynomial and its reconstruction
constexpr int64_t kSelection = 250;      // a page: six nanoseconds of dependent loads and stores, as operations

bool calls_exp(Op op) {
  return op == Op::kExp || op == Op::kLog || op == Op::kSigmoid || op == Op::kSilu || op == Op::kLogSumExp ||
         op == Op::kSoftmax;
}

int64_t flops_of(const Program& program, const Node& node) {
  if (node.output == kNoValue || program.type(node.output).format == Format::kPages)
    return node.inputs.empty() || op_info(node.op).rule == TypeRule::kStore ? 0 : kSelection;
  const Type& in = program.type(node.inputs[0]);
  const Type& out = program.type(node.output);
  switch (op_info(node.op).rule) {
    case TypeRule::kGemm:
      return 2 * out.elements() * in.cols;
    case TypeRule::kReduce:
    case TypeRule::kInterleave:
      return in.elements() * (calls_exp(node.op) ? kTranscendental : 1);
    case TypeRule::kPageAxis:
      return out.elements() * (node.op == Op::kSoftmax ? 2 * kTranscendental : 2 * std::max(1, node.attributes.k));
    case TypeRule::kProject:
      return 2 * out.elements() * in.elements();
    case TypeRule::kLoad:
    case TypeRule::kReshape:
      return 0;
    case TypeRule::kUnary:
      if (node.op == Op::kRotate) return out.elements() * std::bit_width(static_cast<unsigned>(out.cols));
      return out.elements() * (calls_exp(node.op) ? kTranscendental : 2);
    default:
      return out.elements();
  }
}

/// A batched result is made once a row, but for reductions over the pages.
bool once_a_row(const Program& program, const Node& node) {
  if (node.output == kNoValue || program.type(node.output).format != Format::kBatched) return false;
  return op_info(node.op).rule != TypeRule::kReduce || node.attributes.dim != 0;
}

GroupCost cost_of_group(const Plan& plan, size_t index) {
  const Program& program = plan.indexer.program;
  const std::vector<NodeId>& nodes = program.groups[index];
  const auto outside = [&](ValueId v) {
    const NodeId made = program.values[static_cast<size_t>(v)].producer;
    return std::find(nodes.begin(), nodes.end(), made) == nodes.end();
  };
  GroupCost cost;
  std::vector<bool> seen(program.values.size(), false);
  for (NodeId n : nodes) {
    const Node& node = program.node(n);
    (once_a_row(program, node) ? cost.row_flops : cost.page_flops) += flops_of(program, node);
    for (ValueId v : node.inputs) {
      if (seen[static_cast<size_t>(v)] || !outside(v) || node.op == Op::kMaskSlice) continue;
      seen[static_cast<size_t>(v)] = true;
      const Type& type = program.type(v);
      if (type.format == Format::kPaged)
        cost.field_bytes += plan.fields[static_cast<size_t>(value_field(kIndexer, v))].page_bytes();
      if (type.format == Format::kRagged) cost.buffer_numbers += type.elements();
    }
    const bool leaves = node.output != kNoValue && plan.indexer.leaves[static_cast<size_t>(node.output)];
    if (leaves && program.type(node.output).format == Format::kRagged)
      cost.buffer_numbers += program.type(node.output).elements();
  }
  return cost;
}

}  // namespace

FlowCost cost_of(const Plan& plan) {
  FlowCost cost;
  for (size_t g = 0; g < plan.indexer.program.groups.size(); ++g) cost.groups.push_back(cost_of_group(plan, g));
  cost.metadata_bytes = plan.bytes_read_per_page();
  for (int f = 0; f < plan.base_fields; ++f) cost.kv_bytes += plan.fields[static_cast<size_t>(f)].page_bytes();
  for (const Node& node : plan.cache.program.nodes) cost.update_flops += flops_of(plan.cache.program, node);
  return cost;
}

double predicted_us(const FlowCost& cost, const MachineRate& machine, int64_t pages) {
  double total = 0;
  for (const GroupCost& group : cost.groups) {
    const double count = static_cast<double>(pages);
    const double memory = count * static_cast<double>(group.field_bytes) / (machine.read_gb_per_s * 1e3);
    const double flops = count * static_cast<double>(group.page_flops) + static_cast<double>(group.row_flops);
    total += std::max(memory, flops / (machine.gflop_per_s * 1e3)) + machine.group_us;
  }
  return total;
}

}  // namespace vortex::flow
