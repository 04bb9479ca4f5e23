#include "flow/backends/cpu/bound_pattern.h"

#include <algorithm>

namespace vortex::flow {
namespace {

int count_readers(const Program& program, ValueId value) {
  int readers = 0;
  for (const Node& node : program.nodes)
    readers += static_cast<int>(std::count(node.inputs.begin(), node.inputs.end(), value));
  return readers;
}

/// The node that makes `value` for exactly one reader, if it is an `op` with `dim`.
std::optional<NodeId> sole_producer(const Program& program, ValueId value, Op op, int dim) {
  const NodeId id = program.values[static_cast<size_t>(value)].producer;
  if (id < 0 || program.node(id).op != op || program.node(id).attributes.dim != dim) return std::nullopt;
  if (count_readers(program, value) != 1) return std::nullopt;
  return id;
}

/// The op and source by which forward_cache writes a declared field.
struct Origin {
  Op op;
  ValueId source;
  int dim;
};
std::optional<Origin> origin_of(const Plan& plan, int field) {
  const Program& cache = plan.cache.program;
  for (const Node& node : cache.nodes) {
    if (node.op != Op::kWrite || node.attributes.field != field - plan.base_fields) continue;
    const NodeId made = cache.values[static_cast<size_t>(node.inputs[0])].producer;
    if (made < 0 || cache.node(made).inputs.empty()) return std::nullopt;
    return Origin{cache.node(made).op, cache.node(made).inputs[0], cache.node(made).attributes.dim};
  }
  return std::nullopt;
}

bool are_bounds(const Plan& plan, int high, int low) {
  const auto h = origin_of(plan, high), l = origin_of(plan, low);
  const auto& fields = plan.fields;
  return h && l && h->op == Op::kMax && l->op == Op::kMin && h->source == l->source && h->dim == l->dim &&
         fields[static_cast<size_t>(high)].dtype == fields[static_cast<size_t>(low)].dtype && !plan.saves();
}

/// The field and the batched operand of Multiply(batched x, paged field), in either order.
struct Product {
  ValueId x;
  int field;
};
std::optional<Product> product_of(const Program& program, NodeId id) {
  const Node& node = program.node(id);
  for (int i = 0; i < 2; ++i) {
    const ValueId x = node.inputs[static_cast<size_t>(i)], y = node.inputs[static_cast<size_t>(1 - i)];
    const Type &tx = program.type(x), &ty = program.type(y);
    if (tx.format == Format::kBatched && ty.format == Format::kPaged && ty.rows == 1 && tx.cols == ty.cols)
      return Product{x, value_field(kIndexer, y)};
  }
  return std::nullopt;
}

std::optional<BoundPattern> match_from(const Plan& plan, const Program& program, NodeId top) {
  const Node& max = program.node(top);
  if (max.op != Op::kMax || max.attributes.dim != 1) return std::nullopt;
  const auto sum = sole_producer(program, max.inputs[0], Op::kSum, 2);
  if (!sum) return std::nullopt;
  const auto larger = sole_producer(program, program.node(*sum).inputs[0], Op::kMaximum, 0);
  if (!larger) return std::nullopt;
  const auto a = sole_producer(program, program.node(*larger).inputs[0], Op::kMultiply, 0);
  const auto b = sole_producer(program, program.node(*larger).inputs[1], Op::kMultiply, 0);
  if (!a || !b) return std::nullopt;
  auto first = product_of(program, *a), second = product_of(program, *b);
  if (!first || !second || first->x != second->x) return std::nullopt;
  if (!are_bounds(plan, first->field, second->field)) std::swap(first, second);
  if (!are_bounds(plan, first->field, second->field)) return std::nullopt;
  return BoundPattern{{*a, *b, *larger, *sum, top}, first->x, first->field, second->field};
}

}  // namespace

std::optional<BoundPattern> find_bound(const Plan& plan, const Program& program, const std::vector<NodeId>& group) {
  if (program.side != kIndexer) return std::nullopt;
  for (NodeId top : group) {
    auto pattern = match_from(plan, program, top);
    if (!pattern) continue;
    const bool inside = std::all_of(pattern->nodes.begin(), pattern->nodes.end(),
                                    [&](NodeId n) { return std::find(group.begin(), group.end(), n) != group.end(); });
    if (inside) return pattern;
  }
  return std::nullopt;
}

}  // namespace vortex::flow
