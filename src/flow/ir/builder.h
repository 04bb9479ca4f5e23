// GraphBuilder: the one way to make a graph. Every front end (C++ tracing, JSON) adds fields and nodes through it, so
// that all of them meet the same checks.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "flow/ir/graph.h"

namespace vortex::flow {

class GraphBuilder {
 public:
  /// Checks the name and the shape (each extent in [1, kMaxExtent]) and the declared fields: names are identifiers,
  /// unique and not reserved. Reserved: k, v, latent, kv_c, k_pe.
  static Result<GraphBuilder> start(std::string name, const GraphShape& shape, std::vector<FieldDecl> fields);

  const Graph& graph() const { return graph_; }

  /// Appends a node and returns the value it makes (kNoValue for stores and output ops). Errors have `where`.
  Result<ValueId> add(Side side, Op op, std::vector<ValueId> inputs, Attributes attributes, std::string where);

  /// The finished graph, verified (verify.h), each node a group by itself.
  Result<Graph> finish() &&;

 private:
  Graph graph_;
};

}  // namespace vortex::flow
