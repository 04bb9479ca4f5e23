// CUDA text of single operators. Values are lambdas of (row, column): v7 is exact, r7 rounded for other groups.
#pragma once

#include <string>

#include "flow/backends/cuda/analysis.h"

namespace vortex::flow {

/// Writes the nodes of one program as a team of threads runs them.
class NodeWriter {
 public:
  /// `team`: variable of the team; `memory`: of its workspace.
  NodeWriter(const Analysis& analysis, const ProgramPlan& program, std::string team, std::string memory);

  /// Definition of the lambda(s) of a value that lies at `pointer`, or of one that is computed when read.
  std::string define_stored(NodeId n, const std::string& pointer) const;
  std::string define_inline(NodeId n) const;
  /// Statements that compute a stored value to `pointer`; a sync follows.
  std::string compute(NodeId n, const std::string& pointer) const;
  /// A node of a page: its definition, and where it is stored what computes it into the workspace.
  std::string page_node(NodeId n, Offsets* workspace) const;
  /// A store to the page of a field at `page`.
  std::string store(NodeId n, const std::string& page, Offsets* workspace) const;
  /// v of a field whose page is at pointer p<field>.
  std::string define_field(int field) const;
  /// v0 of the query.
  std::string define_query() const;

  /// The lambda by which `reader` reads v.
  std::string name(ValueId v, NodeId reader) const;
  /// The same as an expression, with axes of size 1 repeated.
  std::string call(ValueId v, NodeId reader, const std::string& i, const std::string& j) const;
  /// A lambda of (i, j) around it.
  std::string lambda(ValueId v, NodeId reader) const;

 private:
  const Program& program() const { return program_.program; }
  std::string expression(NodeId n) const;
  std::string kron(NodeId n) const;
  std::string rounded(ValueId v) const;

  const Analysis& analysis_;
  const Plan& plan_;
  const ProgramPlan& program_;
  std::vector<int> group_;
  std::string team_, memory_;
};

/// Names of the program text's types and reductions.
std::string type_name(DType dtype);
std::string reduction_name(Op op);
/// A number, to the bit.
std::string number(float x);
/// The functions of elementwise operators.
std::string elementwise_functions();

}  // namespace vortex::flow
