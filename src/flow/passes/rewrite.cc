#include "flow/passes/rewrite.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "flow/passes/dead_code.h"
#include "flow/passes/rewriter.h"

namespace vortex::flow {
namespace {

constexpr size_t kNodesARule = 8;  // more than any rule adds by itself
constexpr Type kScore{Format::kRagged, 1, 1};

/// Not approxTopK: its bins are of the score's bits, so that another score of the same order fills them differently.
bool ends_in_order(Op op) { return op == Op::kTopK || op == Op::kTopKSet; }

/// Rounding to it never swaps two numbers; the step of a row of codes may.
bool keeps_order(Storage storage) {
  return storage != Storage::kInt8 && storage != Storage::kInt4 && storage != Storage::kInt2 &&
         storage != Storage::kInt1;
}

/// The node whose result forward_cache writes to a declared field; null for Fill.
const Node* written_by(const Graph& graph, int declared) {
  for (const Node& node : graph.cache.nodes) {
    if (node.op != Op::kWrite || node.attributes.field != declared) continue;
    const NodeId made = graph.cache.values[static_cast<size_t>(node.inputs[0])].producer;
    return made < 0 ? nullptr : &graph.cache.node(made);
  }
  return nullptr;
}

GraphBuilder start_again(const Graph& graph) {
  auto builder = GraphBuilder::start(graph.name, graph.shape, graph.fields);
  VORTEX_CHECK(builder.ok(), "{}", builder.error().to_string());
  return std::move(*builder);
}

}  // namespace

Rewriter::Rewriter(const Graph& graph, PassNotes* notes) : old_(graph), notes_(notes), builder_(start_again(graph)) {}

Graph Rewriter::run() {
  side_ = kCache;
  run_program(old_.cache);
  side_ = kIndexer;
  run_program(old_.indexer);
  auto graph = std::move(builder_).finish();
  VORTEX_CHECK(graph.ok(), "rewritten {}: {}", old_.name, graph.error().to_string());
  return std::move(*graph);
}

std::vector<Rewriter::Uses> Rewriter::uses_of(const Program& program) {
  std::vector<Uses> uses(program.values.size());
  const std::vector<bool> live = live_nodes(program);
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    const Node& node = program.nodes[n];
    for (ValueId v : node.inputs) {
      Uses& use = uses[static_cast<size_t>(v)];
      use.readers += live[n] && node.op != Op::kMaskSlice ? 1 : 0;
      use.saved |= node.op == Op::kSave;
    }
  }
  return uses;
}

void Rewriter::run_program(const Program& old) {
  const std::vector<Uses> uses = uses_of(old);
  const auto inputs = static_cast<size_t>(input_count(old_, side_));
  renamed_.assign(old.values.size(), kNoValue);
  for (size_t v = 0; v < inputs; ++v) renamed_[v] = static_cast<ValueId>(v);
  uses_.assign(uses.begin(), uses.begin() + static_cast<std::ptrdiff_t>(inputs));
  for (size_t n = 0; n < old.nodes.size(); ++n) {
    const Node& node = old.nodes[n];
    waiting_ = old.nodes.size() - n;
    const bool made = node.output != kNoValue;
    const Uses use = made ? uses[static_cast<size_t>(node.output)] : Uses{};
    rewrite_node(node, use.saved);
    if (!made) continue;
    const auto v = static_cast<size_t>(renamed_[static_cast<size_t>(node.output)]);
    if (v < uses_.size()) {  // an older value took over: it has lost this node as its reader and gained the node's
      uses_[v].readers += use.readers - 1;
      uses_[v].saved |= use.saved;
      continue;
    }
    uses_.resize(v + 1, Uses{1, false});
    uses_[v] = use;
  }
}

void Rewriter::rewrite_node(const Node& old, bool saved) {
  Node node = old;
  node.output = kNoValue;
  where_ = old.where;
  for (ValueId& v : node.inputs) v = renamed_[static_cast<size_t>(v)];
  if (ends_in_order(node.op) || node.op == Op::kTopP) node.inputs[0] = settle_score(node.op, node.inputs[0]);
  const ValueId made = saved || old.output == kNoValue ? emit(node) : make(node.op, node.inputs, node.attributes);
  if (old.output == kNoValue) return;
  const Type& before = (side_ == kCache ? old_.cache : old_.indexer).type(old.output);
  VORTEX_CHECK(type(made) == before, "{} at {} was rewritten to another type", op_info(old.op).name, old.where);
  renamed_[static_cast<size_t>(old.output)] = made;
}

ValueId Rewriter::settle_score(Op output, ValueId score) {
  for (bool changed = true; changed;) {
    changed = false;
    const auto root = maker(score);
    if (!root) break;
    for (const RewriteRule& rule : rewrite_rules()) {
      if (rule.keeps == Keeps::kValue || (rule.keeps == Keeps::kOrder && !ends_in_order(output))) continue;
      const auto next = rule.apply(*this, *root);
      if (!next || type(*next) != kScore) continue;
      notes_->push_back(fmt::format("{} at {}: {} -> {}", rule.name, root->where, rule.pattern, rule.replacement));
      score = *next;
      changed = true;
      break;
    }
  }
  return score;
}

bool Rewriter::is_coded(ValueId v) const {
  const int declared = value_field(side_, v) - builder_.graph().base_fields();
  if (!is_paged(v) || declared < 0) return false;
  const Storage storage = builder_.graph().fields[static_cast<size_t>(declared)].storage;
  return storage == Storage::kInt4 || storage == Storage::kInt2 || storage == Storage::kInt1;
}

bool Rewriter::are_bounds(ValueId high, ValueId low) const {
  const Graph& graph = builder_.graph();
  const int h = value_field(side_, high) - graph.base_fields(), l = value_field(side_, low) - graph.base_fields();
  if (side_ != kIndexer || !is_paged(high) || !is_paged(low) || h < 0 || l < 0) return false;
  const Storage storage = graph.fields[static_cast<size_t>(h)].storage;
  if (storage != graph.fields[static_cast<size_t>(l)].storage || !keeps_order(storage)) return false;
  for (const Node& node : old_.indexer.nodes)
    if (node.op == Op::kSave && (node.attributes.field == h || node.attributes.field == l)) return false;
  const Node *top = written_by(graph, h), *bottom = written_by(graph, l);
  if (top == nullptr || bottom == nullptr || top->inputs != bottom->inputs) return false;
  const auto largest = reduction_of(top->op), smallest = reduction_of(bottom->op);
  return largest == Op::kMax && smallest == Op::kMin && top->attributes == bottom->attributes;
}

std::optional<Node> Rewriter::maker(ValueId v) const {
  const auto index = static_cast<size_t>(v);
  const NodeId n = program().values[index].producer;
  if (n < 0) return std::nullopt;
  if (index < uses_.size() && (uses_[index].readers > 1 || uses_[index].saved)) return std::nullopt;
  return program().node(n);
}

std::optional<Node> Rewriter::maker(ValueId v, Op op) const {
  auto node = maker(v);
  if (node && node->op != op) node.reset();
  return node;
}

ValueId Rewriter::make(Op op, std::vector<ValueId> inputs, const Attributes& attributes) {
  const Node node{op, std::move(inputs), kNoValue, attributes, where_};
  if (!has_room()) return emit(node);
  for (const RewriteRule& rule : rewrite_rules()) {
    if (rule.keeps != Keeps::kValue) continue;
    ++depth_;
    const auto replaced = rule.apply(*this, node);
    --depth_;
    if (!replaced) continue;
    notes_->push_back(fmt::format("{} at {}: {} -> {}", rule.name, where_, rule.pattern, rule.replacement));
    return *replaced;
  }
  return emit(node);
}

ValueId Rewriter::emit(const Node& node) {
  auto made = builder_.add(side_, node.op, node.inputs, node.attributes, node.where);
  VORTEX_CHECK(made.ok(), "rewrite of {}: {}", old_.name, made.error().to_string());
  return *made;
}

/// A rewritten program keeps within kMaxNodes too, with the rules under way and the nodes still to come.
bool Rewriter::has_room() const {
  return program().nodes.size() + waiting_ + kNodesARule * (depth_ + 2) < static_cast<size_t>(kMaxNodes);
}

void rewrite_graph(Graph* graph, PassNotes* notes) { *graph = Rewriter(*graph, notes).run(); }

}  // namespace vortex::flow
