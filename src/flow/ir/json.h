// The graph as JSON, the one exchange form between front ends, files and tools:
//   {"format": "vortex-flow/1", "name": "block_sparse_attention",
//    "shape": {"group": 4, "head_dim": 128, "page_tokens": 16, "attention": "gqa"},
//    "fields": [{"name": "centroids", "rows": 1, "cols": 128, "storage": "flow"}],
//    "cache": [{"op": "Mean", "inputs": ["@k"], "dim": 1, "at": "flow.cc:9:30"},
//              {"op": "Write", "inputs": ["%0"], "field": "centroids"}],
//    "indexer": [{"op": "Mean", "inputs": ["q"], "dim": 1}, {"op": "GeMM", "inputs": ["%0", "@centroids"]},
//                {"op": "topK", "inputs": ["%1"]}]}
// A shape of "attention": "mla" has "kv_lora_rank" too, and any "scale" when it is not 1 / sqrt(head_dim).
// Inputs: "q" the query, "@name" a field, "%i" the result of node i of the same program. Attributes that are left out
// have the op's defaults. A Project has the name of its "parameter"; the weights come from the operator's file, as they
// do for the flow's other forms. `at` is the author's place, for messages.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "flow/ir/graph.h"

namespace vortex::flow {

std::string write_json(const Graph& graph);

/// Strict and safe for text from strangers: unknown keys, wrong types, numbers out of range, deep nesting and graphs
/// that the verifier refuses are errors whose `where` is `where` and the place inside ("flow.json: indexer[2]").
/// Groups are not stored: each node is one.
Result<Graph> read_json(std::string_view text, const std::string& where);

/// The shape alone, on one line and always with its scale, as front ends in other processes are asked for graphs.
std::string write_shape(const GraphShape& shape);
/// As strict as read_json.
Result<GraphShape> read_shape(std::string_view text, const std::string& where);

}  // namespace vortex::flow
