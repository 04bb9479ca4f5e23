#include "flow/backends/cuda/analysis.h"

#include <algorithm>

#include "flow/backends/cuda/products.h"

namespace vortex::flow {
namespace {

constexpr int64_t kRepeatedFloats = 4096;  // of a query's values: more are computed once a row

/// Only an index changes.
bool is_view(const Node& node) {
  const TypeRule rule = op_info(node.op).rule;
  return rule == TypeRule::kTranspose || rule == TypeRule::kReshape || rule == TypeRule::kMaskSlice ||
         rule == TypeRule::kLoad;
}

struct Readers {
  int count = 0;
  bool repeats = false;  // some reader takes an element more than once
};

Readers readers_of(const Program& program, ValueId v) {
  Readers out;
  const int64_t elements = program.type(v).elements();
  for (const Node& node : program.nodes) {
    const auto count = std::count(node.inputs.begin(), node.inputs.end(), v);
    if (count == 0) continue;
    out.count += static_cast<int>(count);
    const TypeRule rule = op_info(node.op).rule;
    const bool grows = node.output != kNoValue && program.type(node.output).elements() > elements;
    out.repeats |= rule == TypeRule::kGemm || rule == TypeRule::kStore || node.op == Op::kStdDev ||
                   node.op == Op::kLogSumExp || grows;
  }
  return out;
}

}  // namespace

int64_t Offsets::take(int64_t count) {
  const int64_t at = used;
  used += (count + 3) / 4 * 4;  // whole vectors
  return at;
}

bool is_elementwise(const Node& node) {
  const TypeRule rule = op_info(node.op).rule;
  return is_view(node) || rule == TypeRule::kBinary || rule == TypeRule::kKron ||
         (rule == TypeRule::kUnary && node.op != Op::kRotate);
}

Analysis::Analysis(const Plan& plan_in) : plan(plan_in) {
  find_stages();
  place_rows();
  place_pages();
}

std::vector<NodeId> Analysis::nodes_of(Stage wanted) const {
  std::vector<NodeId> out;
  for (const auto& group : plan.indexer.program.groups)
    for (NodeId n : group)
      if (stage(n) == wanted) out.push_back(n);
  return out;
}

bool Analysis::batched(ValueId v) const { return plan.indexer.program.type(v).format == Format::kBatched; }

bool Analysis::stored(const ProgramPlan& program, NodeId n) const {
  const Node& node = program.program.node(n);
  if (!is_elementwise(node)) return true;
  if (is_view(node)) return false;
  const Readers readers = readers_of(program.program, node.output);
  if (readers.count != 1 || readers.repeats) return true;
  if (program.program.side == kCache || !batched(node.output)) return false;
  // A query's value that pages read is computed once, not for every page.
  for (const Node& reader : program.program.nodes)
    if (std::count(reader.inputs.begin(), reader.inputs.end(), node.output) > 0)
      return reader.output == kNoValue || !batched(reader.output);
  return false;
}

bool Analysis::choice_reads_query() const {
  const Program& program = plan.indexer.program;
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    if (stages[n] != Stage::kChoice) continue;
    for (ValueId v : program.nodes[n].inputs) {
      const NodeId producer = program.values[static_cast<size_t>(v)].producer;
      if (v == kQueryValue || (producer >= 0 && stage(producer) == Stage::kRows)) return true;
    }
  }
  return false;
}

/// A group runs in one kernel: in the choice when one of its nodes, or what they read, needs the whole row.
void Analysis::find_stages() {
  const Program& program = plan.indexer.program;
  stages.assign(program.nodes.size(), Stage::kPages);
  for (const auto& group : program.groups) {
    bool whole_row = false;
    for (NodeId n : group) {
      const Node& node = program.node(n);
      bool lead = node.output != kNoValue && batched(node.output) && !node.inputs.empty();
      for (ValueId v : node.inputs) {
        const NodeId producer = program.values[static_cast<size_t>(v)].producer;
        whole_row |= producer >= 0 && stage(producer) == Stage::kChoice;
        lead &= v == kQueryValue || (producer >= 0 && stage(producer) == Stage::kRows);
      }
      whole_row |= schedule_of(node.op, node.attributes) == Schedule::kAlone && !lead;
      if (lead) stages[static_cast<size_t>(n)] = Stage::kRows;
    }
    if (!whole_row) continue;
    for (NodeId n : group)
      if (stage(n) != Stage::kRows) stages[static_cast<size_t>(n)] = Stage::kChoice;
  }
}

/// Room for a query that is rounded, in whichever form.
int64_t Analysis::rounded_floats(const Node& product) const {
  const Program& program = plan.indexer.program;
  const Type& x = program.type(product.inputs[0]);
  const FieldSpec& field = plan.fields[static_cast<size_t>(value_field(kIndexer, product.inputs[1]))];
  return std::max(x.elements(), packed_floats(field.dtype, x.rows, x.cols));
}

void Analysis::place_rows() {
  const Program& program = plan.indexer.program;
  Offsets offsets;
  int64_t largest = 0;
  for (const bool lead : {true, false}) {
    for (NodeId n = 0; n < static_cast<NodeId>(program.nodes.size()); ++n) {
      const Node& node = program.node(n);
      if (node.op == Op::kProject && lead) projects.push_back(n);
      if (plan.rounds_query(program, node)) {
        const NodeId producer = program.values[static_cast<size_t>(node.inputs[0])].producer;
        const bool of_query = producer < 0 || stage(producer) == Stage::kRows;
        if (of_query == lead) rounded_query[n] = offsets.take(rounded_floats(node));
      }
      if (node.output == kNoValue || !batched(node.output) || (stage(n) == Stage::kRows) != lead) continue;
      rows_kernel |= lead && node.op == Op::kProject;
      if (lead)
        for (ValueId v : node.inputs) largest = std::max(largest, program.type(v).elements());
      if (stored(plan.indexer, n)) row_offset[node.output] = offsets.take(program.type(node.output).elements());
    }
    if (lead) lead_floats = offsets.used;
  }
  row_floats = offsets.used;
  rows_kernel |= lead_floats > kRepeatedFloats || largest > 4 * kRepeatedFloats;
}

/// Values of pages that are read after the pass over pages that makes them.
void Analysis::place_pages() {
  const Program& program = plan.indexer.program;
  const std::vector<int> group = group_of_nodes(program);
  std::vector<bool> kept(program.values.size(), false);
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    for (ValueId v : program.nodes[n].inputs) {
      const NodeId producer = program.values[static_cast<size_t>(v)].producer;
      if (producer < 0 || batched(v) || program.type(v).format == Format::kPages) continue;
      const bool other_group = group[static_cast<size_t>(producer)] != group[n];
      kept[static_cast<size_t>(v)] = kept[static_cast<size_t>(v)] || (other_group && stages[n] == Stage::kChoice);
    }
  }
  for (size_t v = 0; v < kept.size(); ++v) {
    if (!kept[v]) continue;
    page_offset[static_cast<ValueId>(v)] = page_floats;
    page_floats += program.values[v].type.elements();
  }
}

}  // namespace vortex::flow
