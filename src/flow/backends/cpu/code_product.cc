#include "flow/backends/cpu/code_product.h"

#include <algorithm>
#include <numeric>
#include <optional>

namespace vortex::flow {
namespace {

/// The one node that reads `value`, if it lies in the group.
std::optional<NodeId> sole_reader(const Program& program, const std::vector<NodeId>& group, ValueId value) {
  std::optional<NodeId> reader;
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    const auto& inputs = program.nodes[n].inputs;
    const auto count = std::count(inputs.begin(), inputs.end(), value);
    if (count == 0) continue;
    if (count > 1 || reader) return std::nullopt;
    reader = static_cast<NodeId>(n);
  }
  if (!reader || std::find(group.begin(), group.end(), *reader) == group.end()) return std::nullopt;
  return reader;
}

void extend(const Program& program, const std::vector<NodeId>& group, CodeProductPattern* pattern) {
  auto next = sole_reader(program, group, program.node(pattern->nodes.back()).output);
  if (next && program.node(*next).op == Op::kAddMul) {
    pattern->alpha = program.node(*next).attributes.alpha;
    pattern->beta = program.node(*next).attributes.beta;
    pattern->nodes.push_back(*next);
    next = sole_reader(program, group, program.node(*next).output);
  }
  if (!next || program.node(*next).attributes.dim != 1) return;
  const Op op = program.node(*next).op;
  if (op != Op::kMax && op != Op::kLogSumExp) return;
  pattern->reduction = op == Op::kMax ? RowReduction::kMax : RowReduction::kLogSumExp;
  pattern->nodes.push_back(*next);
}

/// Floats of workspace that hold so many bytes.
int64_t rows_floats(int64_t bytes) { return (bytes + 3) / 4; }

}  // namespace

std::vector<CodeProductPattern> find_code_products(const Plan& plan, const Program& program,
                                                   const std::vector<NodeId>& group) {
  std::vector<CodeProductPattern> patterns;
  for (NodeId n : group) {
    const Node& node = program.node(n);
    if (!plan.rounds_query(program, node)) continue;
    CodeProductPattern pattern{{n}, node.inputs[0], value_field(kIndexer, node.inputs[1])};
    const FieldSpec& field = plan.fields[static_cast<size_t>(pattern.field)];
    if (!CodeLayout(field.dtype, field.rows, field.cols).blocked()) continue;
    if (plan.saved_slot(pattern.field - plan.base_fields) >= 0) continue;
    extend(program, group, &pattern);
    patterns.push_back(std::move(pattern));
  }
  return patterns;
}

int64_t packed_query_floats(const CodeLayout& layout, int group) {
  return rows_floats(int64_t{group} * layout.padded_cols()) + 2 * int64_t{group};
}

PackedQuery packed_query(const CodeLayout& layout, int group, float* workspace) {
  float* scale = workspace + rows_floats(int64_t{group} * layout.padded_cols());
  return {reinterpret_cast<int8_t*>(workspace), scale, reinterpret_cast<int32_t*>(scale + group)};
}

void pack_query(const CodeLayout& layout, int group, const float* x, const PackedQuery& out) {
  const int width = layout.padded_cols();
  for (int g = 0; g < group; ++g) {
    int8_t* row = out.rows + int64_t{g} * width;
    std::fill_n(row, width, int8_t{0});
    out.scale[g] = round_query_row(x + int64_t{g} * layout.cols(), layout.cols(), row) / 2;
    out.bias[g] = (1 - (1 << layout.bits())) * std::accumulate(row, row + width, int32_t{0});
  }
}

}  // namespace vortex::flow
