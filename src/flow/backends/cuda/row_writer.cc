#include "flow/backends/cuda/row_writer.h"

#include <fmt/core.h>

#include <algorithm>

namespace vortex::flow {

std::string RowWriter::pointer(int64_t at) const { return fmt::format("b + {}", at); }

/// Definitions of the batched nodes of a stage; with `computed` the statements that fill them too.
std::string RowWriter::row_nodes(const std::vector<NodeId>& nodes, const NodeWriter& writer, bool computed) const {
  std::string text;
  for (NodeId n : nodes) text += row_node(n, writer, computed);
  return text;
}

std::string RowWriter::row_node(NodeId n, const NodeWriter& writer, bool computed) const {
  const Node& node = program_.node(n);
  if (!analysis_.stored(plan_.indexer, n)) return writer.define_inline(n);
  const std::string at = pointer(analysis_.row_offset.at(node.output));
  const std::string text = writer.define_stored(n, at);
  if (!computed) return text;
  const std::string m = fmt::format("m{}", node.output);
  if (node.op == Op::kProject) return text + project(n, m, writer);
  return text + writer.compute(n, m);
}

std::string RowWriter::project(NodeId n, const std::string& out, const NodeWriter& writer) const {
  const Node& node = program_.node(n);
  const Type& in = program_.type(node.inputs[0]);
  const auto place = std::find(analysis_.projects.begin(), analysis_.projects.end(), n) - analysis_.projects.begin();
  return fmt::format(
      "project<{}, {}>(block, [&](int k) {{ return {}(k / {}, k % {}); }}, a.weights[a.layer * {} + {}], {});\n"
      "block.sync();\n",
      program_.type(node.output).elements(), in.elements(), writer.name(node.inputs[0], n), in.cols, in.cols,
      analysis_.projects.size(), place, out);
}

/// q<node>: the rounded queries of products with codes.
std::string RowWriter::rounded_queries(const std::vector<NodeId>& nodes, const NodeWriter& writer,
                                       bool computed) const {
  std::string text;
  for (NodeId n : nodes) {
    const auto at = analysis_.rounded_query.find(n);
    if (at == analysis_.rounded_query.end()) continue;
    const Type& type = program_.type(program_.node(n).inputs[0]);
    text += fmt::format("float* const q{} = {};\n", n, pointer(at->second));
    const auto fast = std::find_if(fast_.products.begin(), fast_.products.end(),
                                   [&](const Product& product) { return product.code_gemm == n; });
    if (computed && fast != fast_.products.end())
      text += pack_call(analysis_, writer, *fast);
    else if (computed)
      text += fmt::format("round_query<{}, {}>(block, {}, q{});\nblock.sync();\n", type.rows, type.cols,
                          writer.lambda(program_.node(n).inputs[0], n), n);
  }
  return text;
}

/// Nodes whose product with codes reads what is known of the query alone (`lead`) or later.
std::vector<NodeId> RowWriter::rounding_nodes(bool lead) const {
  std::vector<NodeId> out;
  for (const auto& [n, at] : analysis_.rounded_query)
    if ((at < analysis_.lead_floats) == lead) out.push_back(n);
  return out;
}

std::string RowWriter::lead_values(const NodeWriter& writer, bool computed) const {
  return writer.define_query() + row_nodes(analysis_.nodes_of(Stage::kRows), writer, computed) +
         rounded_queries(rounding_nodes(true), writer, computed);
}

}  // namespace vortex::flow
