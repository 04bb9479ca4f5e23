// CUDA text for values of rows: what blocks compute of the query, or of all pages of a row, and keep at `b`.
#pragma once

#include <string>
#include <vector>

#include "flow/backends/cuda/products.h"

namespace vortex::flow {

class RowWriter {
 public:
  RowWriter(const Analysis& analysis, const FastPages& fast)
      : analysis_(analysis), plan_(analysis.plan), program_(plan_.indexer.program), fast_(fast) {}

  /// Definitions of batched nodes; with `computed` the statements that fill them too.
  std::string row_nodes(const std::vector<NodeId>& nodes, const NodeWriter& writer, bool computed) const;
  /// q<node>: the rounded queries of products with codes.
  std::string rounded_queries(const std::vector<NodeId>& nodes, const NodeWriter& writer, bool computed) const;
  /// The query, all that is computed of it alone, and its rounded forms.
  std::string lead_values(const NodeWriter& writer, bool computed) const;
  /// Where a value lies.
  std::string pointer(int64_t at) const;

 private:
  std::string row_node(NodeId n, const NodeWriter& writer, bool computed) const;
  std::string project(NodeId n, const std::string& out, const NodeWriter& writer) const;
  std::vector<NodeId> rounding_nodes(bool lead) const;

  const Analysis& analysis_;
  const Plan& plan_;
  const Program& program_;
  const FastPages& fast_;
};

}  // namespace vortex::flow
