// The graph as text, one node a line, groups marked: for `explain`, messages and text tests.
#pragma once

#include <string>

#include "flow/ir/graph.h"

namespace vortex::flow {

/// "%3 = Max(%2, dim=1) : ragged [S, 1, 1]". Fields are @name, the query is q, results %node.
std::string print_node(const Graph& graph, const Program& program, NodeId node);
std::string print_value(const Graph& graph, const Program& program, ValueId value);
std::string print_program(const Graph& graph, const Program& program);
std::string print_graph(const Graph& graph);

}  // namespace vortex::flow
