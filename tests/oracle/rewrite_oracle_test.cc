// Rewrites keep the selection: random graphs and the ready-made flows, all passes on against `rewrite` off, on the
// interpreter. In float32 the two differ only among pages whose scores are within rounding of each other.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "flow/flow.h"
#include "flow/frontend/trace.h"
#include "flow/ir/builder.h"
#include "flow/ir/print.h"
#include "flows/registry.h"
#include "random_graph.h"
#include "vortex/flow.h"

namespace vortex::flow {
namespace {

/// Of the largest score: sums over a few hundred numbers in another order. A product with codes rounds its query to
/// 8 bits, where a rounding of float32 before it may take one channel to the next of 255 steps.
double tolerance_of(const Graph& graph) {
  const bool codes = std::any_of(graph.fields.begin(), graph.fields.end(),
                                 [](const FieldDecl& f) { return storage_name(f.storage).starts_with("int"); });
  return codes ? 4e-3 : 1e-4;
}

/// The other outputs take as many pages as their scores say: a rounding may change the count.
bool ends_in_top_k(const Graph& graph) { return graph.indexer.nodes.back().op == Op::kTopK; }

struct Selection {
  std::vector<std::vector<int>> pages;  // by row, ascending
  std::vector<std::vector<float>> scores;
};

Selection select(const Graph& graph, const WorldShape& shape, const PassOptions& passes, uint32_t seed) {
  auto flow = CompiledFlow::compile(graph, {DType::kF32, BackendKind::kInterpreter, passes, shape.kv_dtype}, nullptr);
  EXPECT_TRUE(flow.ok()) << flow.error().to_string();
  World world(shape, (*flow)->fields(), seed);
  (*flow)->update(world.view, world.full_pages());
  PageList list;
  list_reserved_pages(world.step, world.view, &list);
  static_cast<void>((*flow)->select(world.view, world.step, world.queries.data(), &list));
  Selection out;
  for (int row = 0; row < world.step.rows(); ++row) {
    if (!world.sequence(row).sparse()) continue;
    out.pages.push_back(world.chosen(list, row));
    const auto scores = (*flow)->scores(world.view, world.step, row, world.queries.data());
    out.scores.push_back(scores);
  }
  return out;
}

/// Pages that only one of the two chose have scores, as written, that are the border's but for rounding.
void expect_same_selection(const Selection& written, const Selection& rewritten, int bos, double tolerance) {
  ASSERT_EQ(written.pages.size(), rewritten.pages.size());
  for (size_t row = 0; row < written.pages.size(); ++row) {
    const auto& a = written.pages[row];
    const auto& b = rewritten.pages[row];
    const auto& score = written.scores[row];
    if (!std::all_of(score.begin() + bos, score.end(), [](float x) { return std::isfinite(x); })) continue;
    double norm = 0;
    float border = std::numeric_limits<float>::infinity();
    for (size_t j = static_cast<size_t>(bos); j < score.size(); ++j) norm = std::max(norm, std::abs(double{score[j]}));
    for (int j : a) border = std::min(border, score[static_cast<size_t>(j)]);
    std::vector<int> different;
    std::set_symmetric_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(different));
    for (int j : different)
      EXPECT_NEAR(score[static_cast<size_t>(j)], border, norm * tolerance) << "row " << row << " page " << j;
  }
}

/// A random graph with what the rules look for before its output: lines, rising functions, softmax, shifts.
Graph with_a_tail(const Graph& graph, std::mt19937* random) {
  auto builder = GraphBuilder::start(graph.name, graph.shape, graph.fields);
  EXPECT_TRUE(builder.ok());
  const auto add = [&](Side side, Op op, std::vector<ValueId> inputs, const Attributes& attributes) {
    auto made = builder->add(side, op, std::move(inputs), attributes, "tail");
    EXPECT_TRUE(made.ok()) << made.error().to_string();
    return *made;
  };
  for (const Node& n : graph.cache.nodes) add(kCache, n.op, n.inputs, n.attributes);
  ValueId score = kNoValue;
  for (const Node& n : graph.indexer.nodes) {
    if (n.op != Op::kTopK) add(kIndexer, n.op, n.inputs, n.attributes);
    if (n.op == Op::kTopK) score = n.inputs[0];
  }
  const auto number = [&](float low, float high) { return std::uniform_real_distribution<float>(low, high)(*random); };
  for (int i = 0; i < 3; ++i) {
    Attributes a;
    a.alpha = number(-1, 1);
    a.beta = number(-1.5f, 1.5f);
    a.scale = number(-0.5f, 1);
    switch (std::uniform_int_distribution<int>(0, 5)(*random)) {
      case 0:
        score = add(kIndexer, Op::kAddMul, {score}, a);
        break;
      case 1:
        score = add(kIndexer, Op::kAdd, {score, add(kIndexer, Op::kMean, {score}, {})}, a);
        break;
      case 2:
        score = add(kIndexer, Op::kSoftmax, {score}, a);
        break;
      case 3:
        score = add(kIndexer, Op::kNormalize, {score}, {});
        break;
      case 4:
        score = add(kIndexer, Op::kSigmoid, {add(kIndexer, Op::kNormalize, {score}, {})}, a);
        break;
      default:
        score = add(kIndexer, Op::kExp, {add(kIndexer, Op::kNormalize, {score}, {})}, a);
        break;
    }
  }
  add(kIndexer, Op::kTopK, {score}, {});
  auto made = std::move(*builder).finish();
  EXPECT_TRUE(made.ok()) << made.error().to_string();
  return std::move(*made);
}

WorldShape world_of(int group) {
  WorldShape shape{group, 32, 16, 1, 1, {430, 200}, 8, 1, 2};
  shape.kv_dtype = DType::kF32;
  return shape;
}

TEST(RewriteOracle, RandomGraphsKeepTheirSelection) {
  int compared = 0;
  for (uint32_t seed = 0; seed < 600; ++seed) {
    std::mt19937 random(seed);
    const WorldShape shape = world_of(seed % 3 == 0 ? 1 : 4);
    Graph graph = random_graph({shape.group, shape.head_dim, shape.page_tokens}, seed);
    if (!ends_in_top_k(graph)) continue;
    ++compared;
    if (seed % 2 == 0) graph = with_a_tail(graph, &random);
    expect_same_selection(select(graph, shape, {{"rewrite", "common_subexpressions"}}, seed),
                          select(graph, shape, {}, seed), shape.bos, tolerance_of(graph));
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed << "\n" << print_graph(graph);
  }
  EXPECT_GT(compared, 100);
}

TEST(RewriteOracle, ReadyMadeFlowsKeepTheirSelection) {
  for (const auto& info : flows::list_flows())
    for (int group : {1, 4}) {
      SCOPED_TRACE(info.name);
      WorldShape shape = world_of(group);
      if (info.attention == AttentionKind::kMla) shape.head_dim = 576, shape.kv_lora_rank = 512;
      auto flow = flows::make_flow(info.name).value();
      const auto graph = trace(*flow, std::string(info.name), shape.graph());
      ASSERT_TRUE(graph.ok()) << graph.error().to_string();
      expect_same_selection(select(*graph, shape, {{"rewrite", "common_subexpressions"}}, 3),
                            select(*graph, shape, {}, 3), shape.bos, tolerance_of(*graph));
    }
}

}  // namespace
}  // namespace vortex::flow
