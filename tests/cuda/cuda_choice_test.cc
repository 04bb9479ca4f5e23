// The output operators on the GPU: on the same scores, with ties, NaN and infinities, they choose the interpreter's
// pages.
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <random>
#include <set>

#include "flow/flow.h"
#include "flow_world.h"
#include "probe_flow.h"

namespace vortex::flow {
namespace {

using Scores = std::function<float(size_t i, std::mt19937& random)>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();

float normal(std::mt19937& random) { return std::normal_distribution<float>()(random); }
float many_ties(size_t, std::mt19937& random) {
  return std::floor(2 * normal(random)) * (random() % 2 == 0 ? 1.0f : -0.0f);
}

/// Numbers with many ties in half of the cases; now and then NaN and infinities.
Scores mixed(uint32_t seed) {
  return [=](size_t i, std::mt19937& random) {
    float x = seed % 2 == 0 ? normal(random) : many_ties(i, random);
    if (seed % 4 == 3 && random() % 20 == 0) x = kNan;
    if (seed % 4 == 3 && random() % 20 == 0) x = kInfinity * (random() % 2 == 0 ? 1 : -1);
    return x;
  };
}

/// What a choice could stumble over.
std::vector<Scores> hard_scores() {
  return {
      [](size_t, std::mt19937& random) { return normal(random); },
      many_ties,
      [](size_t, std::mt19937&) { return 3.5f; },
      [](size_t, std::mt19937&) { return kNan; },
      [](size_t, std::mt19937&) { return -kInfinity; },
      [](size_t i, std::mt19937&) { return i % 97 == 5 ? 1.0f : kNan; },
      [](size_t, std::mt19937& random) { return 100 + normal(random); },
      [](size_t i, std::mt19937&) { return -static_cast<float>(i); },
      [](size_t i, std::mt19937&) { return i % 1000 == 0 ? 5.0f
                                           : i % 3 == 0  ? 1.0f
                                                         : 0.5f; },
      [](size_t, std::mt19937& random) { return std::ldexp(normal(random), static_cast<int>(random() % 200) - 100); },
  };
}

void fill_scores(World* world, const Scores& score, uint32_t seed) {
  std::mt19937 random(seed);
  for (size_t f : {size_t{2}, size_t{3}}) {
    auto* numbers = reinterpret_cast<float*>(world->memory[f].data());
    for (size_t i = 0; i < world->memory[f].size() / sizeof(float); ++i) numbers[i] = score(i, random);
  }
}

class CudaChoice : public testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    if (!has_gpu()) GTEST_SKIP() << "no GPU";
  }

  /// `slack`: pages that the number of chosen ones may be off by, where it hangs on a sum.
  void expect_agree(const Ending& ending, int slack = 0) {
    std::vector<Scores> scores;
    for (uint32_t seed = 0; seed < 12; ++seed) scores.push_back(mixed(seed));
    expect_agree({1, 8, 8, 2, 2, {32000, 3200, 350, 45, 17}, 60}, ending, scores, slack);
  }

  void expect_agree(WorldShape shape, const Ending& ending, const std::vector<Scores>& scores, int slack) {
    Probe probe(ending);
    auto reference = CompiledFlow::compile(probe, "probe", {1, 8, 8}, {GetParam(), BackendKind::kInterpreter}, nullptr);
    ASSERT_TRUE(reference.ok()) << reference.error().to_string();
    const Plan& plan = (*reference)->plan();
    if (plan.middle_pages()) shape.budget = shape.bos + shape.eos + *plan.middle_pages();
    auto flow = CudaFlow::compile(plan, limits_of(shape));
    ASSERT_TRUE(flow.ok()) << flow.error().to_string();
    World world(shape, (*reference)->fields(), 1);
    for (uint32_t seed = 0; seed < scores.size(); ++seed) {
      fill_scores(&world, scores[seed], seed);
      compare(**reference, **flow, world, slack, seed);
    }
  }

  /// The best k of the middle pages of sequences, all at once.
  void expect_best(const std::vector<int>& middle_pages, int k) {
    SCOPED_TRACE(k);
    WorldShape shape{1, 8, 8, 1, 2, {}, 3 + k};
    for (int n : middle_pages) shape.tokens.push_back((n + 3) * shape.page_tokens - 1);
    expect_agree(
        shape, [](const Tensor& a, const Tensor&) { return top_k(a); }, hard_scores(), 0);
  }

  static void compare(CompiledFlow& reference, CudaFlow& flow, World& world, int slack, uint32_t seed) {
    DeviceWorld device(world);
    PageList list;
    list_reserved_pages(world.step, world.view, &list);
    const cuda::ListView on_device = device.upload(list);
    const auto nan = cuda::to_device(std::span<const int32_t>(std::vector<int32_t>(world.shape.tokens.size(), 0)));
    // Twice: the second step finds lists that the first has shortened.
    for (int step = 0; step < 2; ++step)
      flow.decode(device.view, device.step, device.queries(), nullptr, on_device, nan.data(), nullptr);
    static_cast<void>(reference.select(world.view, world.step, world.queries.data(), &list));
    const PageList got = device.download();
    for (int row = 0; row < world.step.rows(); ++row) {
      const std::vector<int> x = world.chosen(list, row), y = world.chosen(got, row);
      if (slack > 0) {
        expect_nested(x, y, slack);
      } else {
        EXPECT_EQ(x, y) << "seed " << seed << " row " << row;
      }
      EXPECT_EQ(got.row(row).back(), list.row(row).back());
    }
    std::set<int> failed;
    for (int row : reference.failed_rows()) failed.insert(row / world.shape.kv_heads);
    const std::vector<int32_t> flags = DeviceWorld::to_host(nan);
    for (size_t s = 0; s < flags.size(); ++s) EXPECT_EQ(flags[s] != 0, failed.count(static_cast<int>(s)) > 0);
  }

  /// Both are the best pages; one may have a few more.
  static void expect_nested(const std::vector<int>& x, const std::vector<int>& y, int slack) {
    EXPECT_NEAR(static_cast<double>(x.size()), static_cast<double>(y.size()), slack);
    const bool more = x.size() < y.size();
    EXPECT_TRUE(
        std::includes((more ? y : x).begin(), (more ? y : x).end(), (more ? x : y).begin(), (more ? x : y).end()));
  }
};

TEST_P(CudaChoice, TopK) {
  expect_agree([](const Tensor& a, const Tensor&) { return top_k(a); });
}

/// Counts around what is compared directly, and what groups of pages bound.
TEST_P(CudaChoice, CountsAtTheEdges) {
  for (int k : {1, 2, 31, 32, 33, 128, 255, 256, 257, 1023, 1024, 1025, 1999}) expect_best({k + 1, 2000}, k);
}

/// Rows around what is compared directly, a block's threads, and what they hold.
TEST_P(CudaChoice, RowsAtTheEdges) {
  expect_best({2, 31, 32, 33, 255, 256, 257, 258, 511, 512, 513, 1023, 1024, 1025, 4093, 4094}, 1);
  expect_best({30, 255, 256, 257, 258, 511, 512, 513, 1023, 1024, 1025, 4093, 4094}, 29);
}

TEST_P(CudaChoice, LongRows) {
  expect_best({16384, 8000}, 29);
  expect_best({16385, 100}, 29);
  expect_best({65532, 65000}, 2048);
  expect_best({65533, 40000}, 29);
  expect_best({65536, 300}, 257);
  expect_best({80000}, 2048);
}

TEST_P(CudaChoice, ApproxTopK) {
  for (float tolerance : {0.1f, 0.5f, 1.0f})
    expect_agree([=](const Tensor& a, const Tensor&) { return approx_top_k(a, tolerance); });
}

TEST_P(CudaChoice, TopP) {
  for (auto [mass, least, most] : {std::tuple{0.1f, 0, 0}, {0.5f, 3, 6}, {0.02f, 2, 300}, {0.999f, 0, 40}})
    expect_agree([=](const Tensor& a, const Tensor&) { return top_p(a, mass, least, most); }, 1);
}

TEST_P(CudaChoice, Union) {
  expect_agree([](const Tensor& a, const Tensor& b) { return unite(top_k(a, 4), top_k(b, 9)); });
  expect_agree([](const Tensor& a, const Tensor&) { return unite(top_k(a, 1), top_k(a, 70)); });
}

INSTANTIATE_TEST_SUITE_P(Types, CudaChoice, testing::Values(DType::kF32, DType::kBF16));

}  // namespace
}  // namespace vortex::flow
