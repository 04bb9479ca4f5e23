// The rewrite table: for each rule a flow as written (rewrite off) and as it runs (rewrite on), then what must stay.
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "flow/ir/json.h"
#include "flow/ir/print.h"
#include "flow/passes/pipeline.h"
#include "flow/passes/rewriter.h"

namespace vortex::flow {
namespace {

/// "Mean q dim=1; GeMM %0 @c; topK %1" as the JSON of an indexer program.
std::string to_json(const std::string& program) {
  std::string out;
  for (size_t begin = 0; begin < program.size();) {
    const size_t end = std::min(program.find("; ", begin), program.size());
    std::string op, inputs, attributes;
    size_t at = begin;
    while (at < end) {
      const size_t stop = std::min(program.find(' ', at), end);
      const std::string word = program.substr(at, stop - at);
      const size_t equals = word.find('=');
      if (op.empty()) {
        op = word;
      } else if (equals != std::string::npos) {
        const bool named = word.starts_with("field");
        const std::string value = word.substr(equals + 1);
        attributes += ", \"" + word.substr(0, equals) + "\": " + (named ? "\"" + value + "\"" : value);
      } else {
        inputs += (inputs.empty() ? "\"" : ", \"") + word + "\"";
      }
      at = stop + 1;
    }
    out += (out.empty() ? "" : ", ") + std::string("{\"op\": \"") + op + "\", \"inputs\": [" + inputs + "]" +
           attributes + "}";
    begin = end + 2;
  }
  return out;
}

/// Group 4, head_dim 64, pages of 16; fields c, d [1, 64], s [1, 1], p and o [2, 64] (bounds of half pages) and z [1,
/// 64] of 2-bit codes.
Graph graph_of(const std::string& indexer) {
  auto graph = read_json(R"({"format": "vortex-flow/1", "name": "probe",
    "shape": {"group": 4, "head_dim": 64, "page_tokens": 16, "attention": "gqa"},
    "fields": [{"name": "c", "rows": 1, "cols": 64}, {"name": "d", "rows": 1, "cols": 64},
               {"name": "s", "rows": 1, "cols": 1}, {"name": "p", "rows": 2, "cols": 64},
               {"name": "z", "rows": 1, "cols": 64, "storage": "int2"},
               {"name": "o", "rows": 2, "cols": 64}],
    "cache": [{"op": "MaxInterleave", "inputs": ["@k"], "dim": 1, "k": 16}, {"op": "Min", "inputs": ["@k"], "dim": 1},
              {"op": "Write", "inputs": ["%0"], "field": "c"}, {"op": "Write", "inputs": ["%1"], "field": "d"},
              {"op": "Fill", "inputs": [], "field": "s"},
              {"op": "MaxInterleave", "inputs": ["@k"], "dim": 1, "k": 8},
              {"op": "Write", "inputs": ["%5"], "field": "p"}, {"op": "Write", "inputs": ["%1"], "field": "z"},
              {"op": "MinInterleave", "inputs": ["@k"], "dim": 1, "k": 8},
              {"op": "Write", "inputs": ["%8"], "field": "o"}],
    "indexer": [)" + to_json(indexer) +
                             "]}",
                         "probe.json");
  EXPECT_TRUE(graph.ok()) << indexer << graph.error().to_string();
  return std::move(*graph);
}

/// One line a node, types left out: "%0 = Mean(q, dim=1); %1 = GeMM(%0, @c); topK(%1)".
std::string listing(const Graph& graph, const Program& program) {
  std::string text;
  for (size_t n = 0; n < program.nodes.size(); ++n)
    text += (n == 0 ? "" : "; ") + print_node(graph, program, static_cast<NodeId>(n));
  return std::regex_replace(text, std::regex(" : (ragged|batched) \\[[^\\]]*\\]"), "");
}

struct Outcome {
  std::string program;
  std::set<std::string> rules;
};
Outcome rewritten(const std::string& indexer, std::vector<std::string> off = {}) {
  Graph graph = graph_of(indexer);
  std::vector<PassReport> reports;
  EXPECT_TRUE(run_passes({std::move(off)}, &graph, &reports).ok());
  Outcome outcome{listing(graph, graph.indexer), {}};
  for (const std::string& note : reports.front().notes) outcome.rules.insert(note.substr(0, note.find(' ')));
  return outcome;
}

struct Case {
  const char* rule;
  const char* written;
  const char* runs;
};

const Case kCases[] = {
    {"reduction_of_one", "Mean q dim=1; GeMM %0 @c; Max %1 dim=2; Sum %2 dim=1; topK %3",
     "%0 = Mean(q, dim=1); %1 = GeMM(%0, @c); topK(%1)"},
    {"reshape_chain", "GeMM q @c; Reshape %0 rows=2 cols=2; Reshape %1 rows=1 cols=4; Max %2 dim=2; topK %3",
     "%0 = GeMM(q, @c); %1 = Max(%0, dim=2); topK(%1)"},
    {"transpose_twice", "GeMM q @p; Transpose %0; Transpose %1; Max %2 dim=2; Max %3 dim=1; topK %4",
     "%0 = GeMM(q, @p); %1 = Max(%0, dim=2); %2 = Max(%1, dim=1); topK(%2)"},
    {"transpose_of_vector",
     "GeMM q @c; Transpose %0; MaskSlice %1 dim=1 start=0 end=1; Add %1 %2; Max %3 dim=1; topK %4",
     "%0 = GeMM(q, @c); %1 = Reshape(%0, rows=4, cols=1); %2 = MaskSlice(%1, dim=1, start=0, end=1); "
     "%3 = Add(%1, %2); %4 = Max(%3, dim=1); topK(%4)"},
    {"reduction_of_reshaped", "GeMM q @c; Transpose %0; Max %1 dim=1; topK %2",
     "%0 = GeMM(q, @c); %1 = Max(%0, dim=2); topK(%1)"},
    {"kron_of_one", "Kron q @c dims=1; Abs %0; Max %1 dim=1; Max %2 dim=2; topK %3",
     "%0 = Multiply(q, @c); %1 = Abs(%0); %2 = Max(%1, dim=1); %3 = Max(%2, dim=2); topK(%3)"},
    {"gemv", "Mean q dim=1; GeMV %0 @c; topK %1", "%0 = Mean(q, dim=1); %1 = GeMM(%0, @c); topK(%1)"},
    {"sum_of_products", "Multiply @c q; Sum %0 dim=2; Max %1 dim=1; topK %2",
     "%0 = GeMM(q, @c); %1 = Max(%0, dim=2); topK(%1)"},
    {"sum_of_products", "Mean q dim=1; Multiply %0 @p; Sum %1 dim=2; Max %2 dim=1; topK %3",
     "%0 = Mean(q, dim=1); %1 = GeMM(%0, @p); %2 = Max(%1, dim=1); topK(%2)"},
    {"mean_of_products", "GeMM q @c; Sum %0 dim=2; topK %1", "%0 = Sum(q, dim=1); %1 = GeMM(%0, @c); topK(%1)"},
    {"mean_of_products", "GeMM @c q; Mean %0 dim=1; topK %1", "%0 = Mean(q, dim=1); %1 = GeMM(@c, %0); topK(%1)"},
    {"scaled_product", "GeMM q @p; Add_Mul %0 beta=0.5; LogSumExp %1 dim=1; Softmax %2 dim=0; Sum %3 dim=2; topK %4",
     "%0 = Add_Mul(q, beta=0.5); %1 = GeMM(%0, @p); %2 = LogSumExp(%1, dim=1); %3 = Softmax(%2, dim=0); "
     "%4 = Sum(%3, dim=2); topK(%4)"},
    {"max_of_rising", "GeMM q @c; Exp %0 alpha=1; Max %1 dim=2; Add %2 @s; topK %3",
     "%0 = GeMM(q, @c); %1 = Max(%0, dim=2); %2 = Exp(%1, alpha=1); %3 = Add(%2, @s); topK(%3)"},
    {"softmax_of_line", "GeMM q @c; Add_Mul %0 alpha=3 beta=0.5; Softmax %1 dim=0 scale=0.25; Max %2 dim=2; topK %3",
     "%0 = GeMM(q, @c); %1 = Softmax(%0, dim=0, scale=0.125); %2 = Max(%1, dim=2); topK(%2)"},
    {"mask_of_bound",
     "Multiply q @c; Multiply q @d; Maximum %0 %1; MaskSlice %2 start=0 end=8 dim=2 alpha=0 beta=1; Multiply %2 %3; "
     "Sum %4 dim=2; Max %5 dim=1; topK %6",
     "%0 = MaskSlice(q, dim=2, start=0, end=8, alpha=0, beta=1); %1 = Multiply(q, %0); %2 = Multiply(%1, @c); "
     "%3 = Multiply(%1, @d); %4 = Maximum(%2, %3); %5 = Sum(%4, dim=2); %6 = Max(%5, dim=1); topK(%6)"},
    {"bounds_of_parts", "Kron q @o dims=1; Kron q @p dims=1; Maximum %0 %1; Sum %2 dim=2; Max %3 dim=1; topK %4",
     "%0 = Relu(q); %1 = Add(q, %0, beta=-1); %2 = GeMM(%0, @p); %3 = GeMM(%1, @o); %4 = Add(%2, %3); "
     "%5 = Max(%4, dim=1); %6 = Max(%5, dim=2); topK(%6)"},
    {"shift", "Mean q dim=1; GeMM %0 @c; Mean %1 dim=0; Add %1 %2 beta=-1; top_p %3 mass=0.9 at_least=1 at_most=8",
     "%0 = Mean(q, dim=1); %1 = GeMM(%0, @c); top_p(%1, at_least=1, at_most=8, mass=0.9)"},
    {"rising_line", "Mean q dim=1; GeMM %0 @c; Max %1 dim=0; Add %2 %1 beta=3; topK %3",
     "%0 = Mean(q, dim=1); %1 = GeMM(%0, @c); topK(%1)"},
    {"positive_factor", "Mean q dim=1; GeMM %0 @c; Max %1 dim=0; Exp %2; Multiply %3 %1; topK %4",
     "%0 = Mean(q, dim=1); %1 = GeMM(%0, @c); topK(%1)"},
    {"rising_function", "Mean q dim=1; GeMM %0 @c; Sigmoid %1 beta=-1; topK %2",
     "%0 = Mean(q, dim=1); %1 = GeMM(%0, @c); topK(%1)"},
    {"log_of_positive", "Mean q dim=1; GeMM %0 @c; Softmax %1 dim=0; Log %2; topK %3",
     "%0 = Mean(q, dim=1); %1 = GeMM(%0, @c); topK(%1)"},
    {"softmax_of_score", "Mean q dim=1; GeMM %0 @c; Softmax %1 dim=0 scale=0.09; topK %2",
     "%0 = Mean(q, dim=1); %1 = GeMM(%0, @c); topK(%1)"},
    {"normalized_score", "Mean q dim=1; GeMM %0 @c; Normalize %1 dim=0; topK %2",
     "%0 = Mean(q, dim=1); %1 = GeMM(%0, @c); topK(%1)"},
};

TEST(Rewrite, EachRule) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.rule);
    const Outcome on = rewritten(c.written);
    EXPECT_EQ(on.program, c.runs);
    EXPECT_TRUE(on.rules.contains(c.rule));
    const Graph graph = graph_of(c.written);
    EXPECT_EQ(rewritten(c.written, {"rewrite"}).program, listing(graph, graph.indexer));
  }
}

TEST(Rewrite, EveryRuleHasACase) {
  std::set<std::string> tested = {"interleave_of_axis"};  // below: it is of the cache side
  for (const Case& c : kCases) tested.insert(c.rule);
  for (const RewriteRule& rule : rewrite_rules()) EXPECT_TRUE(tested.contains(std::string(rule.name))) << rule.name;
  EXPECT_EQ(tested.size(), rewrite_rules().size());
}

TEST(Rewrite, EveryRuleIsDocumented) {
  std::ifstream file(VORTEX_SOURCE_DIR "/docs/flow-compiler.md");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  for (const RewriteRule& rule : rewrite_rules()) {
    constexpr const char* kKept[] = {"value", "shift", "order"};
    const std::string row = "| `" + std::string(rule.name) + "` | " + kKept[static_cast<size_t>(rule.keeps)] + " |";
    EXPECT_NE(text.find(row), std::string::npos) << row;
  }
}

TEST(Rewrite, CacheSide) {
  Graph graph = graph_of("GeMM q @c; Max %0 dim=2; topK %1");
  ASSERT_TRUE(run_passes({}, &graph).ok());
  EXPECT_TRUE(print_program(graph, graph.cache).find("Max(@k, dim=1)") != std::string::npos);
}

/// Near misses: what looks like a rule and would change the selection, or the state that Save keeps.
TEST(Rewrite, WhatMustStay) {
  const char* const programs[] = {
      // falling or not monotone
      "Mean q dim=1; GeMM %0 @c; Add_Mul %1 alpha=1 beta=-1; topK %2",
      "Mean q dim=1; GeMM %0 @c; Mean %1 dim=0; Add %1 %2 alpha=-1; topK %3",
      "Mean q dim=1; GeMM %0 @c; Sigmoid %1; topK %2",
      "Mean q dim=1; GeMM %0 @c; Exp %1 beta=-1; topK %2",
      "Mean q dim=1; GeMM %0 @c; Silu %1 beta=-1; topK %2",
      "Mean q dim=1; GeMM %0 @c; Abs %1; topK %2",
      "Mean q dim=1; GeMM %0 @c; Relu %1; topK %2",
      "Mean q dim=1; GeMM %0 @c; Log %1; topK %2",
      "Mean q dim=1; GeMM %0 @c; Softmax %1 dim=0 scale=-1; topK %2",
      // not equal for all pages, or of unknown sign
      "Mean q dim=1; GeMM %0 @c; Add %1 @s; topK %2",
      "Mean q dim=1; GeMM %0 @c; Max %1 dim=0; Multiply %1 %2; topK %3",
      // the mass of top_p depends on the scale
      "Mean q dim=1; GeMM %0 @c; Max %1 dim=0; Add %1 %2 alpha=2; top_p %3 mass=0.9 at_least=1 at_most=8",
      "Mean q dim=1; GeMM %0 @c; Softmax %1 dim=0; top_p %2 mass=0.9 at_least=1 at_most=8",
      // the bins of approxTopK depend on the score's bits
      "Mean q dim=1; GeMM %0 @c; Exp %1; approxTopK %2 tolerate_ratio=0.5",
      // a softmax a head is not one order
      "GeMM q @c; Softmax %0 dim=0; Max %1 dim=2; topK %2",
      // a mask with a negative factor
      "Multiply q @c; Multiply q @d; Maximum %0 %1; MaskSlice %2 start=0 end=8 dim=2 alpha=-1 beta=1; Multiply %2 %3; "
      "Sum %4 dim=2; Max %5 dim=1; topK %6",
      // a bound that Save changes
      "Kron q @o dims=1; Kron q @p dims=1; Maximum %0 %1; Sum %2 dim=2; Max %3 dim=1; Load @p; Save %5 field=p; "
      "topK %4",
      // a product with codes rounds the query to 8 bits, a sum of products does not
      "Multiply q @z; Sum %0 dim=2; Max %1 dim=1; topK %2",
      // saved
      "Mean q dim=1; GeMM %0 @c; Mean %1 dim=0; Add %1 %2 beta=-1; Save %3 field=s; topK %3",
      "Mean q dim=1; GeMM %0 @c; Reshape %1 rows=1 cols=1; Save %2 field=s; topK %2",
      // read twice: both would be computed
      "GeMM q @c; Mean %0 dim=2; Max %0 dim=2; Add %1 %2; topK %3",
      // a field has no other form than its own
      "Max @s dim=1; topK %0",
  };
  for (const char* program : programs) {
    const Graph graph = graph_of(program);
    EXPECT_EQ(rewritten(program).program, listing(graph, graph.indexer));
  }
}

/// As written it is the centred flow; as run it is block_sparse_attention: two groups, one pass over the field.
TEST(Rewrite, CenteredFlowBecomesBlockSparse) {
  const Outcome centered =
      rewritten("Multiply q @c; Sum %0 dim=2; Mean %1 dim=1; Mean %2 dim=0; Add %2 %3 beta=-1; topK %4");
  EXPECT_EQ(centered.program, rewritten("Mean q dim=1; GeMM %0 @c; topK %1").program);
  EXPECT_EQ(centered.rules, (std::set<std::string>{"interleave_of_axis", "mean_of_products", "reduction_of_reshaped",
                                                   "shift", "sum_of_products"}));
}

TEST(Rewrite, LongChainsStayWithinTheLimits) {
  std::string program = "GeMM q @c";
  for (int i = 0; i < 1500; ++i) program += "; Add_Mul %" + std::to_string(i) + " alpha=1";
  program += "; Max %1500 dim=2; topK %1501";
  const Outcome outcome = rewritten(program);
  EXPECT_NE(outcome.program.find("topK"), std::string::npos);
}

}  // namespace
}  // namespace vortex::flow
