// The output operators: on the same scores both backends choose the same pages, and what they choose is the definition.
#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "base/worker_pool.h"
#include "flow/flow.h"
#include "flow/flow_testing.h"
#include "probe_flow.h"

namespace vortex::flow {
namespace {

/// Numbers with many ties; now and then NaN and infinities.
void fill_scores(World* world, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  const bool odd = seed % 4 == 3;
  for (size_t f : {size_t{2}, size_t{3}}) {
    auto* numbers = reinterpret_cast<float*>(world->memory[f].data());
    for (size_t i = 0; i < world->memory[f].size() / sizeof(float); ++i) {
      numbers[i] = seed % 2 == 0 ? round_to_bf16(normal(random)) : std::floor(2 * normal(random));
      if (odd && random() % 20 == 0) numbers[i] = std::numeric_limits<float>::quiet_NaN();
      if (odd && random() % 20 == 0) numbers[i] = std::numeric_limits<float>::infinity() * (random() % 2 == 0 ? 1 : -1);
    }
  }
}

struct Outcome {
  std::vector<std::vector<int>> chosen;  // by row
  std::vector<int> failed;
};

class OutputOps : public testing::Test {
 protected:
  std::unique_ptr<CompiledFlow> compile(const Ending& ending, BackendKind backend) {
    Probe probe(ending);
    auto flow = CompiledFlow::compile(probe, "probe", {1, 8, 8}, {DType::kF32, backend, {}}, &pool_);
    EXPECT_TRUE(flow.ok()) << flow.error().to_string();
    return std::move(*flow);
  }

  static WorldShape shape_for(const CompiledFlow& flow) {
    WorldShape shape{1, 8, 8, 2, 2, {3200, 350, 45, 17}};
    if (flow.plan().middle_pages()) shape.budget = shape.bos + shape.eos + *flow.plan().middle_pages();
    return shape;
  }

  Outcome run(CompiledFlow& flow, uint32_t seed) {
    World world(shape_for(flow), flow.fields(), 1);
    fill_scores(&world, seed);
    PageList list;
    list_reserved_pages(world.step, world.view, &list);
    static_cast<void>(flow.select(world.view, world.step, world.queries.data(), &list));
    Outcome outcome;
    for (int row = 0; row < world.step.rows(); ++row) {
      check_reserved(world, list, row);
      outcome.chosen.push_back(world.chosen(list, row));
    }
    outcome.failed.assign(flow.failed_rows().begin(), flow.failed_rows().end());
    return outcome;
  }

  /// The first and the last pages are there, the last page is last, no page twice.
  static void check_reserved(const World& world, const PageList& list, int row) {
    const auto ids = list.row(row);
    const SequencePlan& s = world.sequence(row);
    EXPECT_EQ(std::set(ids.begin(), ids.end()).size(), ids.size());
    EXPECT_EQ(ids.front(), world.page(row, 0));
    for (int e = 1; e <= world.shape.eos; ++e)
      EXPECT_EQ(ids[ids.size() - static_cast<size_t>(e)], world.page(row, s.pages - e));
  }

  void expect_backends_agree(const Ending& ending) {
    const auto reference = compile(ending, BackendKind::kInterpreter), fast = compile(ending, BackendKind::kCpu);
    for (uint32_t seed = 0; seed < 40; ++seed) {
      const Outcome a = run(*reference, seed), b = run(*fast, seed);
      EXPECT_EQ(a.chosen, b.chosen) << "seed " << seed;
      EXPECT_EQ(a.failed, b.failed) << "seed " << seed;
    }
  }

  /// Scores of the middle pages of a row.
  static std::vector<float> scores(const World& world, int row, int field) {
    std::vector<float> out;
    for (int j = world.shape.bos; j < world.sequence(row).pages - world.shape.eos; ++j)
      out.push_back(world.field(field, world.page(row, j))[0]);
    return out;
  }

  WorkerPool pool_{2};
};

TEST_F(OutputOps, TopK) {
  expect_backends_agree([](const Tensor& a, const Tensor&) { return top_k(a); });
}

TEST_F(OutputOps, ApproxTopK) {
  for (float tolerance : {0.0f, 0.1f, 0.3f, 0.7f, 1.0f})
    expect_backends_agree([=](const Tensor& a, const Tensor&) { return approx_top_k(a, tolerance); });
}

TEST_F(OutputOps, TopP) {
  for (float mass : {0.1f, 0.5f, 0.9f, 1.0f})
    for (auto [least, most] : {std::pair{0, 0}, {3, 6}, {0, 30}, {5, 5}})
      expect_backends_agree([=](const Tensor& a, const Tensor&) { return top_p(a, mass, least, most); });
}

TEST_F(OutputOps, Union) {
  expect_backends_agree([](const Tensor& a, const Tensor& b) { return unite(top_k(a, 4), top_k(b, 9)); });
  expect_backends_agree([](const Tensor& a, const Tensor&) { return unite(top_k(a, 1), top_k(a, 7)); });
}

TEST_F(OutputOps, TopPIsTheSmallestSetThatHoldsTheMass) {
  constexpr double kMass = 0.2;
  const auto flow = compile([](const Tensor& a, const Tensor&) { return top_p(a, kMass, 2, 30); }, BackendKind::kCpu);
  World world(shape_for(*flow), flow->fields(), 1);
  fill_scores(&world, 2);
  PageList list;
  list_reserved_pages(world.step, world.view, &list);
  ASSERT_TRUE(flow->select(world.view, world.step, world.queries.data(), &list).ok());
  int sparse_rows = 0;
  for (int row = 0; row < world.step.rows(); ++row) {
    if (!world.sequence(row).sparse()) continue;
    ++sparse_rows;
    std::vector<float> s = scores(world, row, 2);
    const std::vector<int> chosen = world.chosen(list, row);
    std::sort(s.begin(), s.end(), std::greater<>());
    double total = 0, kept = 0;
    for (float x : s) total += std::exp(double{x});
    for (size_t i = 0; i < chosen.size(); ++i) kept += std::exp(double{s[i]});
    EXPECT_GE(kept / total, kMass - 1e-6);
    EXPECT_LT((kept - std::exp(double{s[chosen.size() - 1]})) / total, kMass);
    EXPECT_GE(chosen.size(), 2u);
    double chosen_sum = 0, best_sum = 0;
    for (size_t i = 0; i < chosen.size(); ++i) {
      chosen_sum += world.field(2, world.page(row, chosen[i]))[0];
      best_sum += s[i];
    }
    EXPECT_NEAR(chosen_sum, best_sum, 1e-4);
  }
  EXPECT_EQ(sparse_rows, 4);
}

TEST_F(OutputOps, UnionHoldsTheBestOfBoth) {
  const auto flow =
      compile([](const Tensor& a, const Tensor& b) { return unite(top_k(a, 3), top_k(b, 5)); }, BackendKind::kCpu);
  EXPECT_EQ(flow->plan().middle_pages(), 8);
  World world(shape_for(*flow), flow->fields(), 1);
  fill_scores(&world, 0);
  PageList list;
  list_reserved_pages(world.step, world.view, &list);
  ASSERT_TRUE(flow->select(world.view, world.step, world.queries.data(), &list).ok());
  for (int row = 0; row < world.step.rows(); ++row) {
    if (!world.sequence(row).sparse()) continue;
    std::set<int> expected;
    for (auto [field, k] : {std::pair{2, 3}, {3, 5}}) {
      const std::vector<float> s = scores(world, row, field);
      std::vector<int> order(s.size());
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](int x, int y) { return s[static_cast<size_t>(x)] > s[static_cast<size_t>(y)]; });
      for (int i = 0; i < k; ++i) expected.insert(order[static_cast<size_t>(i)] + world.shape.bos);
    }
    EXPECT_EQ(world.chosen(list, row), std::vector<int>(expected.begin(), expected.end()));
  }
}

}  // namespace
}  // namespace vortex::flow
