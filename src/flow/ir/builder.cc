#include "flow/ir/builder.h"

#include <fmt/core.h>

#include <algorithm>

#include "flow/ir/infer.h"
#include "flow/ir/verify.h"

namespace vortex::flow {
namespace {

void add_inputs(Graph* graph, Side side) {
  Program& program = side == kCache ? graph->cache : graph->indexer;
  program.side = side;
  if (side == kIndexer)
    program.values.push_back({Type{Format::kBatched, graph->shape.group, graph->shape.head_dim}, -1});
  for (int f = 0; f < graph->field_count(); ++f) program.values.push_back({graph->field_type(f), -1});
}

Error located(Error error, std::string where) {
  error.where = std::move(where);
  return error;
}

}  // namespace

Result<GraphBuilder> GraphBuilder::start(std::string name, const GraphShape& shape, std::vector<FieldDecl> fields) {
  GraphBuilder builder;
  builder.graph_.name = std::move(name);
  builder.graph_.shape = shape;
  builder.graph_.fields = std::move(fields);
  VORTEX_RETURN_IF_ERROR(verify_declarations(builder.graph_));
  add_inputs(&builder.graph_, kCache);
  add_inputs(&builder.graph_, kIndexer);
  return builder;
}

Result<ValueId> GraphBuilder::add(Side side, Op op, std::vector<ValueId> inputs, Attributes attributes,
                                  std::string where) {
  Program& program = side == kCache ? graph_.cache : graph_.indexer;
  if (static_cast<int>(program.nodes.size()) >= kMaxNodes)
    return Error{ErrorCode::kInvalidArgument, where, fmt::format("more than {} operators", kMaxNodes), ""};
  std::vector<Type> types;
  for (ValueId v : inputs) {
    if (v < 0 || v >= static_cast<ValueId>(program.values.size()))
      return Error{ErrorCode::kInvalidArgument, where, fmt::format("{}: no such input", op_info(op).name), ""};
    types.push_back(program.type(v));
  }
  auto inferred = infer_type(side, op, attributes, types, stored_type(graph_, op, attributes));
  if (!inferred.ok()) return located(inferred.error(), std::move(where));
  Node node{op, std::move(inputs), kNoValue, std::move(attributes), std::move(where)};
  if (*inferred) {
    node.output = static_cast<ValueId>(program.values.size());
    program.values.push_back({**inferred, static_cast<NodeId>(program.nodes.size())});
  }
  program.nodes.push_back(std::move(node));
  return program.nodes.back().output;
}

Result<Graph> GraphBuilder::finish() && {
  reset_groups(&graph_.cache);
  reset_groups(&graph_.indexer);
  VORTEX_RETURN_IF_ERROR(verify(graph_));
  return std::move(graph_);
}

}  // namespace vortex::flow
