// Rewriter: records a graph again, node by node, and lets the rules of the rewrite table replace values on the way.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "flow/ir/builder.h"
#include "flow/passes/pass_notes.h"

namespace vortex::flow {

class Rewriter;

/// What a rewrite keeps of the value it replaces, for finite numbers and exact arithmetic.
enum class Keeps : uint8_t {
  kValue,  // the value itself: any reader may get the new one
  kShift,  // up to a number that is the same for all middle pages: what topK, TopK and top_p select by
  kOrder,  // the order of the middle pages and its ties: what topK and TopK select by
};

/// A row of the rewrite table (rewrite_rules.cc).
struct RewriteRule {
  std::string_view name;
  Keeps keeps;
  std::string_view pattern;      // the last operator first; b is a batched value
  std::string_view replacement;  //
  std::string_view why;          // why Keeps holds
  /// A value that replaces what `root` makes, or nothing. Rules that keep less than the value add no nodes.
  std::optional<ValueId> (*apply)(Rewriter& r, const Node& root);
};
std::span<const RewriteRule> rewrite_rules();

class Rewriter {
 public:
  Rewriter(const Graph& graph, PassNotes* notes);
  Graph run();

  // For rules. Values are those of the graph being made.
  Side side() const { return side_; }
  const Type& type(ValueId v) const { return program().type(v); }
  bool is_batched(ValueId v) const { return type(v).format == Format::kBatched; }
  bool is_paged(ValueId v) const { return type(v).format == Format::kPaged; }
  /// A field of few-bit codes: a product rounds its batched side to 8 bits (graph.h), other ops read the values.
  bool is_coded(ValueId v) const;
  /// Two fields of which forward_cache writes the largest and the smallest of the same numbers, in the same type and
  /// with no Save since: high >= low everywhere.
  bool are_bounds(ValueId high, ValueId low) const;
  /// The node that makes `v` for one reader only; nothing for inputs, for values with several readers (the work would
  /// be done twice) and for those that Save keeps (state changes no more than the flow's author wrote).
  std::optional<Node> maker(ValueId v) const;
  std::optional<Node> maker(ValueId v, Op op) const;
  /// A new value, itself rewritten where a rule applies.
  ValueId make(Op op, std::vector<ValueId> inputs, const Attributes& attributes);

 private:
  struct Uses {
    int readers = 0;  // MaskSlice does not count: it needs the shape only
    bool saved = false;
  };
  static std::vector<Uses> uses_of(const Program& program);

  const Program& program() const { return side_ == kCache ? builder_.graph().cache : builder_.graph().indexer; }
  void run_program(const Program& old);
  void rewrite_node(const Node& old, bool saved);
  ValueId settle_score(Op output, ValueId score);
  ValueId emit(const Node& node);
  bool has_room() const;

  const Graph& old_;
  PassNotes* notes_;
  GraphBuilder builder_;
  Side side_ = kCache;
  std::vector<Uses> uses_;        // by new value; absent: one reader
  std::vector<ValueId> renamed_;  // old value to new
  std::string where_;             // of the old node at work
  size_t waiting_ = 0;            // old nodes still to come
  size_t depth_ = 0;              // of make()
};

}  // namespace vortex::flow
