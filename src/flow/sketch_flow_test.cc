// Our own flows over keys and values against formulas, from k alone: sketches (sketch_testing.h), bounds of sub-pages,
// centroid and spread.
#include <gtest/gtest.h>

#include <functional>

#include "base/worker_pool.h"
#include "flow/flow.h"
#include "flow/sketch_testing.h"
#include "flows/registry.h"

namespace vortex::flow {
namespace {

using Formula = std::function<Vector(const World&, int row)>;

Vector sketch_mass(const World& world, int row) {
  const int n = scored_pages(world, row), bos = world.shape.bos;
  const double scale = 1 / std::sqrt(static_cast<double>(world.shape.head_dim));
  Vector out(static_cast<size_t>(n), 0.0), total(static_cast<size_t>(world.shape.group), 0.0);
  std::vector<Vector> mass;  // [page][head]
  for (int j = 0; j < n; ++j) {
    Vector& page = mass.emplace_back();
    for (const Vector& logits : estimates(world, row, j, 2)) {
      double sum = 0;
      for (double x : logits) sum += std::exp(scale * x);
      page.push_back(sum);
    }
    for (size_t h = 0; j >= bos && h < page.size(); ++h) total[h] += page[h];
  }
  for (size_t j = 0; j < mass.size(); ++j)
    for (size_t h = 0; h < total.size(); ++h) out[j] += mass[j][h] / total[h];
  return out;
}

Vector subpage_bound(const World& world, int row) {
  Vector out;
  for (int j = 0; j < scored_pages(world, row); ++j) {
    const std::vector<float> k = world.field(0, world.page(row, j));
    double best = -1e300;
    for (int first = 0; first < world.shape.page_tokens; first += 4) {
      for (int h = 0; h < world.shape.group; ++h) {
        const Vector q = query_of(world, row, h);
        double bound = 0;
        for (size_t d = 0; d < q.size(); ++d) {
          double largest = -1e300;
          for (int t = first; t < first + 4; ++t) largest = std::max(largest, q[d] * token_of(world, k, t)[d]);
          bound += largest;
        }
        best = std::max(best, bound);
      }
    }
    out.push_back(best);
  }
  return out;
}

Vector mean_and_spread(const World& world, int row) {
  Vector out;
  const auto tokens = static_cast<double>(world.shape.page_tokens);
  for (int j = 0; j < scored_pages(world, row); ++j) {
    const std::vector<float> k = world.field(0, world.page(row, j));
    double best = -1e300;
    for (int h = 0; h < world.shape.group; ++h) {
      const Vector q = query_of(world, row, h);
      double score = 0;
      for (size_t d = 0; d < q.size(); ++d) {
        double mean = 0, squares = 0;
        for (int t = 0; t < world.shape.page_tokens; ++t) mean += token_of(world, k, t)[d] / tokens;
        for (int t = 0; t < world.shape.page_tokens; ++t)
          squares += std::pow(token_of(world, k, t)[d] - mean, 2) / tokens;
        score += q[d] * mean + 2 * std::abs(q[d]) * std::sqrt(squares);
      }
      best = std::max(best, score);
    }
    out.push_back(best);
  }
  return out;
}

struct Case {
  const char* flow;
  Formula formula;
  BackendKind backend;
};

class OwnFlows : public testing::TestWithParam<Case> {};

TEST_P(OwnFlows, ScoreAsTheirFormula) {
  WorkerPool pool(2);
  for (const WorldShape& shape :
       {WorldShape{4, 64, 16, 2, 2, {500, 90}}, WorldShape{3, 32, 32, 1, 1, {999}}, WorldShape{9, 128, 8, 1, 1, {260}},
        WorldShape{1, 64, 64, 1, 1, {1280}, 6}, WorldShape{2, 64, 16, 1, 1, {420}, 9, 1, 2, DType::kCode8}}) {
    auto flow = flows::make_flow(GetParam().flow);
    ASSERT_TRUE(flow.ok());
    auto compiled = CompiledFlow::compile(**flow, GetParam().flow, shape.graph(),
                                          {DType::kF32, GetParam().backend, {{"rewrite"}}, shape.kv_dtype}, &pool);
    ASSERT_TRUE(compiled.ok()) << compiled.error().to_string();
    World world(shape, (*compiled)->fields(), 11);
    (*compiled)->update(world.view, world.full_pages());
    for (int row = 0; row < world.step.rows(); ++row) {
      if (!world.sequence(row).sparse()) continue;
      const Vector expected = GetParam().formula(world, row);
      const auto got = (*compiled)->scores(world.view, world.step, row, world.queries.data());
      ASSERT_EQ(got.size(), expected.size());
      // A channel on the border of two codes may fall to either: one step of one channel.
      const double tolerance = *std::max_element(expected.begin(), expected.end()) * 2e-3;
      for (size_t j = static_cast<size_t>(shape.bos); j < got.size(); ++j)
        EXPECT_NEAR(got[j], expected[j], tolerance) << "row " << row << " page " << j;
    }
  }
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (BackendKind backend : {BackendKind::kInterpreter, BackendKind::kCpu}) {
    cases.push_back({"sketch1_sparse_attention", [](const World& w, int r) { return sketch_max(w, r, 1); }, backend});
    cases.push_back({"sketch2_sparse_attention", [](const World& w, int r) { return sketch_max(w, r, 2); }, backend});
    cases.push_back({"sketch2_mass_sparse_attention", sketch_mass, backend});
    cases.push_back({"quest_subpage", subpage_bound, backend});
    cases.push_back({"mean_std_sparse_attention", mean_and_spread, backend});
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Flows, OwnFlows, testing::ValuesIn(all_cases()));

TEST(OwnFlows, BytesOfMetadata) {
  WorkerPool pool(1);
  const auto bytes = [&](const char* name) {
    auto flow = flows::make_flow(name).value();
    return CompiledFlow::compile(*flow, name, {4, 64, 16}, {}, &pool).value()->plan().bytes_read_per_page();
  };
  EXPECT_EQ(bytes("gqa_quest_sparse_attention"), 256);
  EXPECT_EQ(bytes("sketch1_sparse_attention"), 160);  // 0.625 of Quest's
  EXPECT_EQ(bytes("sketch2_sparse_attention"), 288);
}

}  // namespace
}  // namespace vortex::flow
