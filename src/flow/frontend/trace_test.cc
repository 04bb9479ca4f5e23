// Mistakes of a flow's author: each names the operator, the line here and the shapes.
#include "flow/frontend/trace.h"

#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>

#include "vortex/flow.h"

namespace vortex::flow {
namespace {

/// A flow made of three functions, so that each test shows only its mistake.
struct Probe : Flow {
  std::function<Fields()> fields = [] { return Fields{{"c", {1, 64}}}; };
  std::function<void(CacheScope&)> cache = [](CacheScope& c) { c.write("c", mean(c["k"], 1)); };
  std::function<Score(const Tensor&, IndexerScope&)> indexer = [](const Tensor& q, IndexerScope& c) {
    return top_k(gemm(mean(q, 1), c["c"]));
  };

  Fields create_cache(const PageShape&) override { return fields(); }
  void forward_cache(CacheScope& c) override { cache(c); }
  Score forward_indexer(const Tensor& q, IndexerScope& c) override { return indexer(q, c); }
};

Result<Graph> trace_probe(Probe probe) { return trace(probe, "probe", {4, 64, 16}); }

/// The error of a probe whose `where` is a line of this file (or the flow's name).
void expect_error(Probe probe, const std::string& message, int line) {
  const auto graph = trace_probe(std::move(probe));
  ASSERT_FALSE(graph.ok());
  EXPECT_NE(graph.error().message.find(message), std::string::npos) << graph.error().to_string();
  const std::string where = line > 0 ? "trace_test.cc:" + std::to_string(line) + ":" : "probe";
  EXPECT_NE(graph.error().where.find(where), std::string::npos) << graph.error().to_string();
}

TEST(Trace, TheProbeItselfIsFine) { EXPECT_TRUE(trace_probe({}).ok()); }

TEST(Trace, ShapesOfAProduct) {
  Probe p;
  p.indexer = [](const Tensor& q, IndexerScope& c) { return top_k(gemm(mean(q, 2), c["c"])); };
  expect_error(p, "GeMM(batched [1, 4, 1], paged [S, 1, 64]): last axes must be equal", __LINE__ - 1);
}

TEST(Trace, ScoreThatIsNotOneNumberAPage) {
  Probe p;
  p.indexer = [](const Tensor& q, IndexerScope& c) { return top_k(gemm(q, c["c"])); };
  expect_error(p, "topK(ragged [S, 1, 4]): the score must be ragged [S, 1, 1]", __LINE__ - 1);
  p.indexer = [](const Tensor& q, IndexerScope&) { return top_k(max(max(q, 1), 2)); };
  expect_error(p, "topK(batched [1, 1, 1])", __LINE__ - 1);
}

TEST(Trace, FormatOfASoftmax) {
  Probe p;
  p.indexer = [](const Tensor&, IndexerScope& c) { return top_k(max(softmax(c["c"], 0), 2)); };
  expect_error(p, "Softmax(paged [S, 1, 64]): needs a ragged tensor", __LINE__ - 1);
  p.indexer = [](const Tensor&, IndexerScope& c) { return top_k(max(softmax(c.load("c"), 1), 2)); };
  expect_error(p, "dim must be 0, got 1", __LINE__ - 1);
}

TEST(Trace, WrongSide) {
  Probe p;
  p.cache = [](CacheScope& c) { c.write("c", sum(c["k"], 1)); };
  expect_error(p, "Sum([1, 16, 64]): not available in forward_cache", __LINE__ - 1);
}

TEST(Trace, TwoOutputsOrNone) {
  Probe p;
  p.indexer = [](const Tensor& q, IndexerScope& c) {
    top_k(gemm(mean(q, 1), c["c"]));
    return top_k(gemm(mean(q, 1), c["c"]));
  };
  expect_error(p, "topK is a second output", __LINE__ - 2);
  p.indexer = [](const Tensor&, IndexerScope&) { return Score(); };
  expect_error(p, "forward_indexer has no output", 0);
}

TEST(Trace, FieldNames) {
  Probe p;
  for (const char* name : {"k", "v", "latent"}) {
    p.fields = [=] { return Fields{{name, {1, 64}}}; };
    expect_error(p, "a reserved name", 0);
  }
  p.fields = [] { return Fields{{"2c", {1, 64}}}; };
  expect_error(p, "'2c' is no field name", 0);
  p.fields = [] { return Fields{{"c", {0, 64}}}; };
  expect_error(p, "field 'c' has impossible shape [0, 64]", 0);
  p = {};
  p.indexer = [](const Tensor& q, IndexerScope& c) { return top_k(gemm(mean(q, 1), c["cc"])); };
  expect_error(p, "no field 'cc'", __LINE__ - 1);
}

TEST(Trace, Writers) {
  Probe p;
  p.cache = [](CacheScope&) {};
  expect_error(p, "nothing writes field 'c' in forward_cache", 0);
  p.cache = [](CacheScope& c) {
    c.write("c", mean(c["k"], 1));
    c.fill("c", 0.0f);
  };
  expect_error(p, "Fill writes field 'c' a second time", __LINE__ - 2);
  p.cache = [](CacheScope& c) { c.write("c", c["k"]); };
  expect_error(p, "Write([1, 16, 64]): the field is [1, 64]", __LINE__ - 1);
  p.cache = [](CacheScope& c) { c.write("k", c["k"]); };
  expect_error(p, "Write to 'k', which the engine writes", __LINE__ - 1);
  p.cache = [](CacheScope& c) { c.write("c", add(mean(c["k"], 1), c["c"])); };
  expect_error(p, "Add reads field 'c' in forward_cache", __LINE__ - 1);
}

TEST(Trace, TensorOfAnotherMethod) {
  Probe p;
  auto kept = std::make_shared<Tensor>();
  p.cache = [=](CacheScope& c) {
    *kept = mean(c["k"], 1);
    c.write("c", *kept);
  };
  p.indexer = [=](const Tensor& q, IndexerScope&) { return top_k(gemm(mean(q, 1), *kept)); };
  expect_error(p, "GeMM of a tensor from another method", __LINE__ - 1);
  p = {};
  p.indexer = [](const Tensor&, IndexerScope&) { return top_k(Tensor()); };
  expect_error(p, "topK of an empty tensor", __LINE__ - 1);
}

TEST(Trace, ExceptionsOfTheFlowStayInside) {
  Probe p;
  p.cache = [](CacheScope&) { throw std::runtime_error("out of luck"); };
  expect_error(p, "the flow threw an exception: out of luck", 0);
  p.cache = [](CacheScope&) { throw 7; };
  expect_error(p, "the flow threw an exception", 0);
}

TEST(Trace, Attributes) {
  Probe p;
  p.indexer = [](const Tensor& q, IndexerScope& c) { return top_k(gemm(mask_slice(q, 0, 65, 2), c["c"])); };
  expect_error(p, "MaskSlice(batched [1, 4, 64]): needs 0 <= start <= end <= 64, got 0 and 65", __LINE__ - 1);
  p.indexer = [](const Tensor& q, IndexerScope& c) { return approx_top_k(gemm(mean(q, 1), c["c"]), 1.5f); };
  expect_error(p, "tolerate_ratio must be between 0 and 1, got 1.5", __LINE__ - 1);
  p.cache = [](CacheScope& c) { c.write("c", mean(mean_interleave(c["k"], 1, 5), 1)); };
  expect_error(p, "axis 1 of size 16 is not divisible by k = 5", __LINE__ - 1);
}

}  // namespace
}  // namespace vortex::flow
