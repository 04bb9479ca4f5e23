// The flow language as a graph. A flow is two straight-line programs over a closed set of operators (ops.def):
//   cache program    sees one finished page of one kv head, writes the flow's fields of that page
//   indexer program  sees one row (a sequence and a kv head) at a decode step, ends in the pages to read
//
// Semantics that all backends share (the interpreter is the reference):
//   Tensors   rank 3, [L, rows, cols]. The format says what L is: batched, one value a row (L = 1); paged, a field in
//             the pool (L = S pages); ragged, an intermediate with one value a page. L = 1 repeats over S; the inner
//             axes broadcast when one of them is 1. A result is batched iff all inputs are; on the cache side L is 1.
//   Ranges    Rows with n <= budget pages compute nothing: all their pages are read. Others compute fused ops on pages
//             [0, n - eos), ops over the page axis and selection on the middle [bos, n - eos). Results over the page
//             axis are 0 outside the middle. A reduction over an empty middle is 0.
//   Rounding  float32 inside a group (fused ops that run as one). A value that leaves its group is rounded to the
//             flow's dtype for those who read it outside; a stored field is rounded to the field's type. GeMM of a
//             batched x with a field of int4, int2 or int1 codes rounds each row of x to 8 bits (round_query_row),
//             so that it may run on integers.
//   Sums      float32 or better, in any order: backends agree to rounding, not to the bit.
//   NaN       Comparisons with NaN are false, so max(x, y) and min(x, y) give y when either is NaN. Max and Min
//             reductions give NaN when any element is. For selection NaN ranks below every number; the row is reported.
//   Ties      The lower page wins. -0 equals +0.
//   Masks     The excluded value is -1e30, finite (in float16: -infinity): a masked page is still chosen when too few
//             others exist.
//   Selection The list is a set: its order is free. The reserved pages are always in it; of the middle
//               topK        k = m - bos - eos pages, m the row's budget
//               approxTopK  k pages too, at least ceil((1 - tolerate_ratio) k) of them from topK's: the keys (bits of
//                           the float32 score, ordered) are compared a byte at a time from the top; once that many
//                           pages are above the bin that holds the k-th, the rest are the bin's lowest pages
//               top_p       the fewest best pages whose share of softmax(score) over the middle reaches mass, at least
//                           at_least and at most at_most of them (0: k)
//               Union       the best pages of either TopK
//             top_p with at_most and Union set the row's budget themselves (Plan::middle_pages).
//   Weights   Project multiplies by a matrix of its name, one a layer, bfloat16. The graph has the name only; whoever
//             compiles it gives the matrices. A layer without one has the identity, repeated: x's parts are summed.
//   State     What Save stores belongs to the sequence: every later read of the field sees it, for pages that were
//             saved; other pages have what forward_cache wrote. A step reads what earlier steps saved.
#pragma once

#include <string>
#include <vector>

#include "flow/ir/op.h"
#include "tensor/dtype.h"

namespace vortex::flow {

enum class Format : uint8_t {
  kBatched,  // [1, rows, cols] a row
  kPaged,    // a field, read through the page table
  kRagged,   // [S, rows, cols] an intermediate
  kPages,    // the result of TopK: a set of pages
};
std::string_view format_name(Format format);

struct Type {
  Format format = Format::kRagged;
  int rows = 1;
  int cols = 1;

  int64_t elements() const { return int64_t{rows} * cols; }
  bool operator==(const Type&) const = default;
};
/// "ragged [S, 4, 128]"; on the cache side "[1, 16, 128]".
std::string to_string(const Type& type, Side side);

/// How a field lies in memory. kFlow: the flow's dtype (bfloat16 unless configured). kInt8 to kInt1: codes with a step
/// a row (tensor/codes.h); every op reads their values.
enum class Storage : uint8_t { kFlow, kF32, kBF16, kF16, kF8E4M3, kF8E5M2, kInt8, kInt4, kInt2, kInt1 };
std::string_view storage_name(Storage storage);
std::optional<Storage> parse_storage(std::string_view name);
/// All of them, in that order.
std::vector<std::string_view> storage_names();

/// A field that the flow declares, beside the base fields.
struct FieldDecl {
  std::string name;
  int rows = 1;
  int cols = 1;
  Storage storage = Storage::kFlow;
  bool operator==(const FieldDecl&) const = default;
};

/// The shapes a graph is made for.
struct GraphShape {
  int group = 1;      // G: query heads that share a kv head
  int head_dim = 64;  // D: width of a query and of a key; of a latent
  int page_tokens = 16;
  int kv_lora_rank = 0;  // above 0: one base field `latent` instead of `k` and `v`, and this many of its D hold no rope
  float scale = 0;       // attention is softmax(scale * q . k); 0: 1 / sqrt(head_dim)

  bool latent() const { return kv_lora_rank > 0; }
  std::string_view attention() const { return latent() ? "mla" : "gqa"; }
  float logit_scale() const;
  bool operator==(const GraphShape& other) const;
};
/// "group 4, head_dim 128, page of 16 tokens", and what else tells it from other shapes.
std::string to_string(const GraphShape& shape);

using ValueId = int;
using NodeId = int;
constexpr ValueId kNoValue = -1;

struct Value {
  Type type;
  NodeId producer = -1;  // -1: an input of the program
  bool operator==(const Value&) const = default;
};

struct Node {
  Op op;
  std::vector<ValueId> inputs;
  ValueId output = kNoValue;  // none for stores and output ops
  Attributes attributes;
  std::string where;  // file:line:column of the author's text; may be empty
};

/// Values: the inputs first (indexer: the query; then all fields, base fields first), then results in node order.
/// Nodes are in execution order. `groups` partitions the nodes; each runs as one, in this order.
struct Program {
  Side side = kCache;
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<std::vector<NodeId>> groups;

  const Type& type(ValueId id) const { return values[static_cast<size_t>(id)].type; }
  const Node& node(NodeId id) const { return nodes[static_cast<size_t>(id)]; }
};

struct Graph {
  std::string name;
  GraphShape shape;
  std::vector<FieldDecl> fields;  // declared ones
  Program cache;
  Program indexer;

  int base_fields() const { return shape.latent() ? 1 : 2; }
  int field_count() const { return base_fields() + static_cast<int>(fields.size()); }
  std::string_view field_name(int field) const;  // base fields first
  std::optional<int> find_field(std::string_view name) const;
  Type field_type(int field) const;
};

/// Attributes::field counts declared fields only; these map it to and from a program's value ids.
constexpr ValueId kQueryValue = 0;
inline ValueId field_value(Side side, int field) { return side == kIndexer ? field + 1 : field; }
inline int value_field(Side side, ValueId value) { return side == kIndexer ? value - 1 : value; }
inline int input_count(const Graph& graph, Side side) { return graph.field_count() + (side == kIndexer ? 1 : 0); }

/// Each node by itself: the partition before fusion.
void reset_groups(Program* program);
/// Group of each node.
std::vector<int> group_of_nodes(const Program& program);
/// Whether each value is read outside the group that makes it (inputs: no).
std::vector<bool> values_leaving_group(const Program& program);

/// Limits on graphs, whoever made them.
constexpr int kMaxFields = 64;
constexpr int kMaxNodes = 4096;
constexpr int kMaxExtent = 1 << 16;
constexpr int64_t kMaxElements = 1 << 20;  // of one page of one value
constexpr int kMaxSetPages = 1 << 20;      // of TopK and top_p; taps and group sizes too
constexpr size_t kMaxNameLength = 64;

}  // namespace vortex::flow
