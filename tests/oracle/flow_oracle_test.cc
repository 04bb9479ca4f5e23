// The CPU backend against the interpreter on random graphs and odd shapes, over keys and values and over latents.
#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "agreement.h"
#include "base/worker_pool.h"
#include "flow/flow.h"
#include "flow/ir/json.h"
#include "flow/ir/print.h"
#include "random_graph.h"

namespace vortex::flow {
namespace {

/// One latent for all heads in place of keys and values.
void make_latent(int heads, int rank, int rope, WorldShape* shape) {
  shape->group = heads;
  shape->kv_heads = 1;
  shape->kv_lora_rank = rank;
  shape->head_dim = rank + rope;
  shape->page_tokens = std::min(shape->page_tokens, 32);
  shape->scale = 0.1f;
}

WorldShape random_world(std::mt19937* random) {
  const auto pick = [&](std::initializer_list<int> choices) {
    return choices.begin()[std::uniform_int_distribution<size_t>(0, choices.size() - 1)(*random)];
  };
  WorldShape shape;
  shape.group = pick({1, 2, 3, 4, 5, 7, 8, 16});
  shape.head_dim = pick({32, 64, 80, 96, 128, 256});
  shape.page_tokens = pick({8, 16, 32, 64, 128});
  shape.kv_heads = pick({1, 2, 3});
  shape.pages_per_slab = pick({1, 2, 4});
  shape.bos = pick({0, 1, 2});
  shape.eos = pick({1, 2, 4});
  shape.budget = shape.bos + shape.eos + pick({1, 2, 5, 17});
  shape.kv_dtype = std::array{DType::kF32, DType::kBF16, DType::kCode8}[static_cast<size_t>(pick({0, 1, 2}))];
  if (pick({0, 1, 2, 3, 4}) == 0) make_latent(pick({1, 4, 8, 20}), pick({64, 96, 512}), pick({16, 64}), &shape);
  shape.tokens.clear();
  for (int s = pick({1, 2, 3}); s > 0; --s)
    shape.tokens.push_back(shape.page_tokens * pick({3, 9, 20}) + pick({1, 3, shape.page_tokens}));
  return shape;
}

std::vector<float> middle_of(const std::vector<float>& scores, int bos) { return {scores.begin() + bos, scores.end()}; }

struct Pair {
  std::unique_ptr<CompiledFlow> reference, fast;
};

Pair compile_both(const Graph& graph, const WorldShape& shape, DType dtype, uint32_t seed, WorkerPool* pool) {
  const Parameters parameters = seed % 2 == 0 ? random_parameters(graph, seed) : Parameters{};
  Pair pair;
  for (BackendKind kind : {BackendKind::kInterpreter, BackendKind::kCpu}) {
    auto compiled = CompiledFlow::compile(graph, {dtype, kind, {}, shape.kv_dtype, parameters}, pool);
    EXPECT_TRUE(compiled.ok()) << compiled.error().to_string();
    (kind == BackendKind::kCpu ? pair.fast : pair.reference) = std::move(*compiled);
  }
  return pair;
}

/// So that scoring starts equal.
void copy_fields(const World& a, World* b) {
  for (size_t f = a.shape.base_fields(); f < a.view.fields.size(); ++f) {
    b->memory[f] = a.memory[f];
    std::copy(a.memory[f].begin(), a.memory[f].end(), b->view.fields[f].base);
  }
}

/// A step of both: scores agree, and the pages too.
void compare_step(const Pair& flow, World& a, World& b, DType dtype, bool fixed_set) {
  PageList list_a, list_b;
  list_reserved_pages(a.step, a.view, &list_a);
  list_b = list_a;
  std::vector<std::vector<float>> scores_a, scores_b;
  for (int row = 0; row < a.step.rows(); ++row) {
    const bool sparse = a.sequence(row).sparse();
    scores_a.push_back(sparse ? flow.reference->scores(a.view, a.step, row, a.queries.data()) : std::vector<float>());
    scores_b.push_back(sparse ? flow.fast->scores(b.view, b.step, row, b.queries.data()) : std::vector<float>());
  }
  const bool ok = flow.reference->select(a.view, a.step, a.queries.data(), &list_a).ok();
  static_cast<void>(flow.fast->select(b.view, b.step, b.queries.data(), &list_b));
  for (int row = 0; row < a.step.rows(); ++row) {
    if (!a.sequence(row).sparse()) continue;
    const auto &x = scores_a[static_cast<size_t>(row)], &y = scores_b[static_cast<size_t>(row)];
    ASSERT_EQ(x.size(), y.size());
    const std::vector<float> middle = middle_of(x, a.shape.bos);
    if (fixed_set && middle == middle_of(y, a.shape.bos)) {
      EXPECT_EQ(a.chosen(list_a, row), b.chosen(list_b, row));
    }
    if (!ok || !is_finite(middle) || norm_of(middle) > 1e20) continue;
    const double tolerance = norm_of(middle) * (dtype == DType::kF32 ? 1e-4 : 2 * tolerance_of(dtype));
    for (size_t j = static_cast<size_t>(a.shape.bos); j < x.size(); ++j)
      ASSERT_NEAR(x[j], y[j], tolerance) << "row " << row << " page " << j;
    if (flow.reference->plan().output().op == Op::kTopK)
      expect_same_pages(a.chosen(list_a, row), b.chosen(list_b, row), x, tolerance);
  }
}

void compare(const Graph& graph, WorldShape shape, DType dtype, uint32_t seed, WorkerPool* pool) {
  const Pair flow = compile_both(graph, shape, dtype, seed, pool);
  const Plan& plan = flow.reference->plan();
  if (plan.middle_pages()) shape.budget = shape.bos + shape.eos + *plan.middle_pages();
  World a(shape, flow.reference->fields(), seed), b(shape, flow.fast->fields(), seed);
  flow.reference->update(a.view, a.full_pages());
  flow.fast->update(b.view, b.full_pages());
  ASSERT_NO_FATAL_FAILURE(expect_fields_agree(a, b));
  copy_fields(a, &b);
  // The second score of a Union is not looked at here, so its set may differ by a rounding.
  compare_step(flow, a, b, dtype, plan.output().op != Op::kUnion);
  if (plan.saves() && !testing::Test::HasFailure()) compare_step(flow, a, b, dtype, false);
}

TEST(Oracle, CpuChoosesTheInterpretersPages) {
  WorkerPool pool(2);
  constexpr uint32_t kGraphs = 500;
  for (uint32_t seed = 0; seed < kGraphs; ++seed) {
    std::mt19937 random(seed);
    const WorldShape shape = random_world(&random);
    const Graph graph = random_graph(shape.graph(), seed);
    constexpr DType kTypes[] = {DType::kF32,  DType::kBF16, DType::kBF16, DType::kF32,
                                DType::kBF16, DType::kF16,  DType::kBF16, DType::kF8E4M3};
    const DType dtype = kTypes[seed % 8];
    compare(graph, shape, dtype, seed, &pool);
    if (testing::Test::HasFailure()) FAIL() << "seed " << seed << "\n" << print_graph(graph);
  }
}

TEST(Oracle, RandomGraphsSurviveJson) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    const bool latent = seed % 4 == 0;
    const Graph graph = random_graph(latent ? GraphShape{8, 576, 32, 512, 0.1f} : GraphShape{4, 64, 16}, seed);
    const std::string text = write_json(graph);
    auto read = read_json(text, "test.json");
    ASSERT_TRUE(read.ok()) << read.error().to_string() << text;
    EXPECT_EQ(write_json(*read), text);
    EXPECT_EQ(print_graph(*read), print_graph(graph));
  }
}

}  // namespace
}  // namespace vortex::flow
