// The ready-made flows end to end against formulas written here, not through the IR.
#include "flow/flow.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "base/worker_pool.h"
#include "flow/flow_testing.h"
#include "flows/registry.h"

namespace vortex::flow {
namespace {

float dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * b[i];
  return static_cast<float>(sum);
}

/// Score of each page of [0, n - eos) of a row, from k alone, without the final rounding.
using Formula = std::function<std::vector<double>(const World&, int row, DType dtype)>;

std::vector<float> mean_query(const World& world, int row) {
  const auto d = static_cast<size_t>(world.shape.head_dim);
  std::vector<float> out(d);
  for (size_t i = 0; i < d; ++i) {
    double sum = 0;
    for (int g = 0; g < world.shape.group; ++g) sum += world.query(row)[static_cast<size_t>(g) * d + i];
    out[i] = static_cast<float>(sum / world.shape.group);
  }
  return out;
}

enum class Summary { kMean, kMax, kMin };

/// What forward_cache should have stored for a page.
std::vector<float> summary_of(const World& world, PageId id, Summary kind, DType dtype) {
  const std::vector<float> k = world.field(0, id);
  const int d = world.shape.head_dim;
  std::vector<float> out(static_cast<size_t>(d));
  for (int i = 0; i < d; ++i) {
    double sum = 0;
    float high = -1e30f, low = 1e30f;
    for (int t = 0; t < world.shape.page_tokens; ++t) {
      const float x = k[static_cast<size_t>(t * d + i)];
      sum += x;
      high = std::max(high, x);
      low = std::min(low, x);
    }
    const double mean = sum / world.shape.page_tokens;
    out[static_cast<size_t>(i)] = rounded(dtype, kind == Summary::kMean  ? static_cast<float>(mean)
                                                 : kind == Summary::kMax ? high
                                                                         : low);
  }
  return out;
}

std::vector<double> block_sparse(const World& world, int row, DType dtype) {
  const std::vector<float> q = mean_query(world, row);
  std::vector<double> out;
  for (int j = 0; j < world.sequence(row).pages - world.shape.eos; ++j)
    out.push_back(dot(q, summary_of(world, world.page(row, j), Summary::kMean, dtype)));
  return out;
}

std::vector<double> gqa_block_sparse(const World& world, int row, DType dtype) {
  const int d = world.shape.head_dim, n = world.sequence(row).pages - world.shape.eos, bos = world.shape.bos;
  std::vector<double> best(static_cast<size_t>(n), 0.0);
  for (int g = 0; g < world.shape.group; ++g) {
    std::vector<double> weight;
    double total = 0;
    for (int j = 0; j < n; ++j) {
      const std::vector<float> c = summary_of(world, world.page(row, j), Summary::kMean, dtype);
      const std::span<const float> q(world.query(row) + g * d, static_cast<size_t>(d));
      weight.push_back(std::exp(0.09 * rounded(dtype, dot(q, c))));
      if (j >= bos) total += weight.back();
    }
    for (int j = bos; j < n; ++j) {
      const auto index = static_cast<size_t>(j);
      best[index] = std::max(best[index], double{rounded(dtype, static_cast<float>(weight[index] / total))});
    }
  }
  return best;
}

std::vector<double> quest(const World& world, int row, DType dtype) {
  const auto d = static_cast<size_t>(world.shape.head_dim);
  std::vector<double> out;
  for (int j = 0; j < world.sequence(row).pages - world.shape.eos; ++j) {
    const std::vector<float> high = summary_of(world, world.page(row, j), Summary::kMax, dtype);
    const std::vector<float> low = summary_of(world, world.page(row, j), Summary::kMin, dtype);
    double best = -1e300;
    for (size_t g = 0; g < static_cast<size_t>(world.shape.group); ++g) {
      double bound = 0;
      for (size_t i = 0; i < d; ++i) {
        const double q = world.query(row)[g * d + i];
        bound += std::max(q * high[i], q * low[i]);
      }
      best = std::max(best, bound);
    }
    out.push_back(best);
  }
  return out;
}

/// Checks that `pages` is a best set of `k` among the middle by `score`, up to `tolerance` at its border.
void expect_best(const std::vector<int>& pages, const std::vector<double>& score, int bos, size_t k, double tolerance) {
  ASSERT_EQ(pages.size(), k);
  double worst_kept = 1e300, best_left = -1e300;
  for (int j = bos; j < static_cast<int>(score.size()); ++j) {
    const double s = score[static_cast<size_t>(j)];
    if (std::binary_search(pages.begin(), pages.end(), j)) {
      worst_kept = std::min(worst_kept, s);
    } else {
      best_left = std::max(best_left, s);
    }
  }
  EXPECT_GE(worst_kept, best_left - tolerance);
}

std::unique_ptr<CompiledFlow> compile(const std::string& name, const WorldShape& shape, const FlowOptions& options,
                                      WorkerPool* pool) {
  auto flow = flows::make_flow(name);
  EXPECT_TRUE(flow.ok());
  auto compiled = CompiledFlow::compile(**flow, name, shape.graph(), options, pool);
  EXPECT_TRUE(compiled.ok()) << compiled.error().to_string();
  return std::move(compiled).value();
}

struct Case {
  const char* flow;
  Formula formula;
  DType dtype;
  BackendKind backend;
};

class ReadyMade : public testing::TestWithParam<Case> {};

TEST_P(ReadyMade, SelectsAsItsFormula) {
  WorkerPool pool(2);
  for (const WorldShape& shape :
       {WorldShape{4, 64, 16, 2, 1, {1000, 16, 160, 161, 333}}, WorldShape{1, 32, 8, 1, 4, {517}, 5, 2, 3},
        WorldShape{7, 80, 32, 3, 2, {1025, 40}, 12, 0, 1, DType::kF32},
        WorldShape{3, 64, 16, 2, 2, {650, 40}, 9, 1, 2, DType::kCode8}}) {
    auto flow =
        compile(GetParam().flow, shape, {GetParam().dtype, GetParam().backend, {{"rewrite"}}, shape.kv_dtype}, &pool);
    World world(shape, flow->fields(), 7);
    flow->update(world.view, world.full_pages());
    PageList list;
    list_reserved_pages(world.step, world.view, &list);
    ASSERT_TRUE(flow->select(world.view, world.step, world.queries.data(), &list).ok());
    for (int row = 0; row < world.step.rows(); ++row) {
      if (!world.sequence(row).sparse()) {
        EXPECT_EQ(list.row(row).size(), static_cast<size_t>(world.sequence(row).pages));
        continue;
      }
      const std::vector<double> expected = GetParam().formula(world, row, GetParam().dtype);
      const std::vector<float> got = flow->scores(world.view, world.step, row, world.queries.data());
      ASSERT_EQ(got.size(), expected.size());
      double scale = 0;
      for (double x : expected) scale = std::max(scale, std::abs(x));
      const double tolerance = scale * (GetParam().dtype == DType::kF32 ? 1e-5 : 0x1p-7);
      for (size_t j = static_cast<size_t>(shape.bos); j < got.size(); ++j)
        EXPECT_NEAR(got[j], expected[j], tolerance) << "row " << row << " page " << j;
      expect_best(world.chosen(list, row), std::vector<double>(got.begin(), got.end()), shape.bos,
                  static_cast<size_t>(shape.budget - shape.bos - shape.eos), 0);
    }
  }
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (BackendKind backend : {BackendKind::kInterpreter, BackendKind::kCpu})
    for (DType dtype : {DType::kF32, DType::kBF16}) {
      cases.push_back({"block_sparse_attention", block_sparse, dtype, backend});
      cases.push_back({"gqa_block_sparse_attention", gqa_block_sparse, dtype, backend});
      cases.push_back({"gqa_quest_sparse_attention", quest, dtype, backend});
    }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Flows, ReadyMade, testing::ValuesIn(all_cases()));

TEST(Flow, TiesGoToTheLowerPage) {
  WorkerPool pool(1);
  const WorldShape shape;
  auto flow = compile("block_sparse_attention", shape, {}, &pool);
  World world(shape, flow->fields(), 1);  // fields are 0: every score is equal
  PageList list;
  list_reserved_pages(world.step, world.view, &list);
  ASSERT_TRUE(flow->select(world.view, world.step, world.queries.data(), &list).ok());
  EXPECT_EQ(world.chosen(list, 0), (std::vector<int>{1, 2, 3, 4, 5, 6, 7}));
}

TEST(Flow, NanRowFailsAloneAndItsListIsComplete) {
  WorkerPool pool(1);
  const WorldShape shape;
  auto flow = compile("gqa_quest_sparse_attention", shape, {}, &pool);
  World world(shape, flow->fields(), 1);
  flow->update(world.view, world.full_pages());
  PageList clean, dirty;
  list_reserved_pages(world.step, world.view, &clean);
  dirty = clean;
  ASSERT_TRUE(flow->select(world.view, world.step, world.queries.data(), &clean).ok());
  world.queries[3] = std::numeric_limits<float>::quiet_NaN();
  const Status status = flow->select(world.view, world.step, world.queries.data(), &dirty);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("NaN in 1 of 2 rows"), std::string::npos);
  EXPECT_EQ(std::vector<int>(flow->failed_rows().begin(), flow->failed_rows().end()), std::vector<int>{0});
  EXPECT_EQ(world.chosen(dirty, 1), world.chosen(clean, 1));
  EXPECT_EQ(world.chosen(dirty, 0), (std::vector<int>{1, 2, 3, 4, 5, 6, 7}));
}

TEST(Flow, UnknownNameGetsTheNearest) {
  auto flow = flows::make_flow("gqa_quest_sparse_atention");
  ASSERT_FALSE(flow.ok());
  EXPECT_EQ(flow.error().code, ErrorCode::kNotFound);
  EXPECT_NE(flow.error().hint.find("gqa_quest_sparse_attention"), std::string::npos);
}

TEST(Flow, EveryReadyMadeFlowCompiles) {
  WorkerPool pool(1);
  for (const auto& info : flows::list_flows())
    for (int group : {1, 5, 16})
      for (int page : {16, 64}) {
        WorldShape shape = example_world(info.attention);
        shape.group = group;
        shape.page_tokens = page;
        EXPECT_NE(compile(std::string(info.name), shape, {}, &pool), nullptr);
      }
}

}  // namespace
}  // namespace vortex::flow
