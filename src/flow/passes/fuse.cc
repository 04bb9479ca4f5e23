#include "flow/passes/fuse.h"

#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "base/check.h"

namespace vortex::flow {
namespace {

using Edges = std::vector<std::pair<NodeId, NodeId>>;  // producer, consumer

Edges edges_of(const Program& program) {
  Edges edges;
  for (size_t n = 0; n < program.nodes.size(); ++n) {
    for (ValueId v : program.nodes[n].inputs) {
      const NodeId producer = program.values[static_cast<size_t>(v)].producer;
      if (producer >= 0) edges.emplace_back(producer, static_cast<NodeId>(n));
    }
  }
  return edges;
}

/// Groups in execution order, or nothing when they form a cycle. Among ready groups the one with the lowest node runs
/// first, so that the order is the author's where it can be.
bool order_groups(const std::vector<int>& group, const Edges& edges, std::vector<int>* order) {
  const size_t n = group.size();
  std::vector<std::vector<int>> next(n);
  std::vector<int> waiting(n, 0);
  for (const auto& [from, to] : edges) {
    const int a = group[static_cast<size_t>(from)], b = group[static_cast<size_t>(to)];
    if (a == b) continue;
    next[static_cast<size_t>(a)].push_back(b);
    ++waiting[static_cast<size_t>(b)];
  }
  std::vector<int> heap;  // groups are named by their lowest node
  for (size_t g = 0; g < n; ++g)
    if (group[g] == static_cast<int>(g) && waiting[g] == 0) heap.push_back(static_cast<int>(g));
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  order->clear();
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const int g = heap.back();
    heap.pop_back();
    order->push_back(g);
    for (int to : next[static_cast<size_t>(g)]) {
      if (--waiting[static_cast<size_t>(to)] > 0) continue;
      heap.push_back(to);
      std::push_heap(heap.begin(), heap.end(), std::greater<>());
    }
  }
  size_t groups = 0;
  for (size_t g = 0; g < n; ++g) groups += group[g] == static_cast<int>(g);
  return order->size() == groups;
}

bool runs_fused(const Program& program, NodeId n) {
  return schedule_of(program.node(n).op, program.node(n).attributes) == Schedule::kFused;
}

void fuse_program(Program* program) {
  const Edges edges = edges_of(*program);
  std::vector<int> group(program->nodes.size());
  for (size_t n = 0; n < group.size(); ++n) group[n] = static_cast<int>(n);
  std::vector<int> order;
  for (const auto& [from, to] : edges) {
    const int a = group[static_cast<size_t>(from)], b = group[static_cast<size_t>(to)];
    if (a == b || !runs_fused(*program, from) || !runs_fused(*program, to)) continue;
    std::vector<int> merged = group;
    std::replace(merged.begin(), merged.end(), std::max(a, b), std::min(a, b));
    if (order_groups(merged, edges, &order)) group = std::move(merged);
  }
  VORTEX_CHECK(order_groups(group, edges, &order), "cycle between groups");
  program->groups.clear();
  for (int g : order) {
    std::vector<NodeId> nodes;
    for (size_t n = 0; n < group.size(); ++n)
      if (group[n] == g) nodes.push_back(static_cast<NodeId>(n));
    program->groups.push_back(std::move(nodes));
  }
}

}  // namespace

void fuse_groups(Graph* graph, PassNotes* notes) {
  for (Program* program : {&graph->cache, &graph->indexer}) {
    fuse_program(program);
    notes->push_back(fmt::format("{}: {} operators in {} groups", side_method(program->side), program->nodes.size(),
                                 program->groups.size()));
  }
}

}  // namespace vortex::flow
