// Flow in, groups out, each pass on and off.
#include <gtest/gtest.h>

#include "flow/ir/json.h"
#include "flow/ir/print.h"
#include "flow/passes/pipeline.h"

namespace vortex::flow {
namespace {

/// A graph with one field `c` [1, 64] (mean of k) and this indexer program.
Graph graph_with(const std::string& indexer) {
  auto graph = read_json(R"({"format": "vortex-flow/1", "name": "probe",
    "shape": {"group": 4, "head_dim": 64, "page_tokens": 16, "attention": "gqa"},
    "fields": [{"name": "c", "rows": 1, "cols": 64}],
    "cache": [{"op": "Mean", "inputs": ["@k"], "dim": 1}, {"op": "Write", "inputs": ["%0"], "field": "c"}],
    "indexer": [)" + indexer +
                             "]}",
                         "probe.json");
  EXPECT_TRUE(graph.ok()) << graph.error().to_string();
  return std::move(*graph);
}

std::string indexer_after(const std::string& indexer, std::vector<std::string> off) {
  Graph graph = graph_with(indexer);
  EXPECT_TRUE(run_passes({std::move(off)}, &graph).ok());
  return print_program(graph, graph.indexer);
}

const char* const kSoftmaxFlow = R"({"op": "GeMM", "inputs": ["q", "@c"]},
  {"op": "Abs", "inputs": ["%0"]},
  {"op": "Softmax", "inputs": ["%0"], "dim": 0, "scale": 0.5},
  {"op": "Max", "inputs": ["%2"], "dim": 2},
  {"op": "topK", "inputs": ["%3"]})";

TEST(Passes, AllOn) {
  EXPECT_EQ(indexer_after(kSoftmaxFlow, {}), R"(  group 0
    %0 = GeMM(q, @c) : ragged [S, 1, 4]
  group 1
    %1 = Softmax(%0, dim=0, scale=0.5) : ragged [S, 1, 4]
  group 2
    %2 = Max(%1, dim=2) : ragged [S, 1, 1]
  group 3
    topK(%2)
)");
}

TEST(Passes, DeadCodeOff) {
  EXPECT_EQ(indexer_after(kSoftmaxFlow, {"dead_code"}), R"(  group 0
    %0 = GeMM(q, @c) : ragged [S, 1, 4]
    %1 = Abs(%0) : ragged [S, 1, 4]
  group 1
    %2 = Softmax(%0, dim=0, scale=0.5) : ragged [S, 1, 4]
  group 2
    %3 = Max(%2, dim=2) : ragged [S, 1, 1]
  group 3
    topK(%3)
)");
}

const char* const kCentered = R"({"op": "Multiply", "inputs": ["q", "@c"]}, {"op": "Sum", "inputs": ["%0"], "dim": 2},
  {"op": "Mean", "inputs": ["%1"], "dim": 1}, {"op": "Mean", "inputs": ["%2"], "dim": 0},
  {"op": "Add", "inputs": ["%2", "%3"], "beta": -1}, {"op": "topK", "inputs": ["%4"]})";

TEST(Passes, FusionStopsAtACycle) {
  // Add reads the first group and, through Mean(0), its result: joining them would be a cycle.
  EXPECT_EQ(indexer_after(kCentered, {"rewrite"}), R"(  group 0
    %0 = Multiply(q, @c) : ragged [S, 4, 64]
    %1 = Sum(%0, dim=2) : ragged [S, 4, 1]
    %2 = Mean(%1, dim=1) : ragged [S, 1, 1]
  group 1
    %3 = Mean(%2, dim=0) : batched [1, 1, 1]
  group 2
    %4 = Add(%2, %3, beta=-1) : ragged [S, 1, 1]
  group 3
    topK(%4)
)");
}

TEST(Passes, FusionOffLeavesEachNodeAlone) {
  Graph graph = graph_with(kCentered);
  ASSERT_TRUE(run_passes({{"rewrite", "fuse"}}, &graph).ok());
  EXPECT_EQ(graph.indexer.groups.size(), graph.indexer.nodes.size());
}

const char* const kTwice = R"({"op": "Mean", "inputs": ["q"], "dim": 1}, {"op": "Mean", "inputs": ["q"], "dim": 1},
  {"op": "GeMM", "inputs": ["%0", "@c"]}, {"op": "GeMM", "inputs": ["%1", "@c"]},
  {"op": "Maximum", "inputs": ["%2", "%3"]}, {"op": "topK", "inputs": ["%4"]})";

TEST(Passes, CommonSubexpressions) {
  EXPECT_EQ(indexer_after(kTwice, {}), R"(  group 0
    %0 = Mean(q, dim=1) : batched [1, 1, 64]
    %1 = GeMM(%0, @c) : ragged [S, 1, 1]
    %2 = Maximum(%1, %1) : ragged [S, 1, 1]
  group 1
    topK(%2)
)");
  EXPECT_EQ(indexer_after(kTwice, {"common_subexpressions"}), R"(  group 0
    %0 = Mean(q, dim=1) : batched [1, 1, 64]
    %1 = Mean(q, dim=1) : batched [1, 1, 64]
    %2 = GeMM(%0, @c) : ragged [S, 1, 1]
    %3 = GeMM(%1, @c) : ragged [S, 1, 1]
    %4 = Maximum(%2, %3) : ragged [S, 1, 1]
  group 1
    topK(%4)
)");
}

TEST(Passes, Reports) {
  Graph graph = graph_with(kSoftmaxFlow);
  std::vector<PassReport> reports;
  ASSERT_TRUE(run_passes({{"rewrite"}}, &graph, &reports).ok());
  ASSERT_EQ(reports.size(), 4u);
  EXPECT_FALSE(reports[0].ran);
  EXPECT_EQ(reports[2].pass, "dead_code");
  EXPECT_EQ(reports[2].notes, PassNotes{"Abs at probe.json: indexer[1]: nobody reads it"});
  EXPECT_EQ(reports[3].notes,
            (PassNotes{"forward_cache: 2 operators in 1 groups", "forward_indexer: 4 operators in 4 groups"}));
}

TEST(Passes, UnknownPass) {
  Graph graph = graph_with(kCentered);
  const Status status = run_passes({{"fusion"}}, &graph);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().to_string(),
            "passes: no pass 'fusion' (passes are rewrite, common_subexpressions, dead_code, fuse)");
}

}  // namespace
}  // namespace vortex::flow
