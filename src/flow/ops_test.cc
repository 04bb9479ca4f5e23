// Each operator against a formula written here, on both backends: a flow of one operator whose result is read back as
// scores (indexer side) or as a stored field (cache side).
#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "base/worker_pool.h"
#include "flow/flow.h"
#include "flow/flow_testing.h"
#include "vortex/flow.h"

namespace vortex::flow {
namespace {

constexpr int kGroup = 3, kDim = 40, kPage = 8;
const PassOptions kAsWritten{{"rewrite"}};  // a rewrite would drop the very op before topK that a formula is about

using Maker = std::function<Tensor(const Tensor& q, Flow::IndexerScope& c)>;
using CacheMaker = std::function<Tensor(Flow::CacheScope& c)>;

/// Fields `a` [2, kDim] and `b` [1, kDim] hold maxima and means of k; `out` what the cache side makes.
struct OneOp : Flow {
  Maker score;
  CacheMaker cached;
  FieldShape out = {1, 1};

  Fields create_cache(const PageShape& s) override {
    Fields fields = {{"a", {2, s.head_dim}}, {"b", {1, s.head_dim}}};
    if (cached) fields.push_back({"out", out});
    return fields;
  }
  void forward_cache(CacheScope& c) override {
    c.write("a", max_interleave(c["k"], 1, kPage / 2));
    c.write("b", mean(c["k"], 1));
    if (cached) c.write("out", cached(c));
  }
  Score forward_indexer(const Tensor& q, IndexerScope& c) override {
    return top_k(score ? score(q, c) : gemm(mean(q, 1), c["b"]));
  }
};

/// What a formula sees of one row: numbers as stored.
struct Row {
  const World* world;
  int row;
  DType dtype;
  int pages() const { return world->sequence(row).pages - world->shape.eos; }
  int bos() const { return world->shape.bos; }
  float q(int g, int d) const { return world->query(row)[g * kDim + d]; }
  float a(int j, int r, int d) const { return world->field(2, world->page(row, j))[static_cast<size_t>(r * kDim + d)]; }
  float b(int j, int d) const { return world->field(3, world->page(row, j))[static_cast<size_t>(d)]; }
  /// <mean q, b of page j>: the usual [S, 1, 1] input.
  float s(int j) const {
    double sum = 0;
    for (int d = 0; d < kDim; ++d) sum += (q(0, d) + q(1, d) + q(2, d)) / 3.0 * b(j, d);
    return static_cast<float>(sum);
  }
  float rounded_s(int j) const { return rounded(dtype, s(j)); }
};
using Formula = std::function<double(const Row&, int page)>;

/// float16 has no room for masks and large exponentials: they become infinite.
bool overflows(DType dtype, double x) { return std::isinf(rounded(dtype, static_cast<float>(x))); }

class Ops : public testing::TestWithParam<std::tuple<BackendKind, DType>> {
 protected:
  BackendKind backend() const { return std::get<0>(GetParam()); }
  DType dtype() const { return std::get<1>(GetParam()); }
  double epsilon() const { return dtype() == DType::kF32 ? 2e-5 : 0x1p-8; }

  std::unique_ptr<CompiledFlow> compile(OneOp& flow) {
    auto compiled =
        CompiledFlow::compile(flow, "one_op", {kGroup, kDim, kPage}, {dtype(), backend(), kAsWritten}, &pool_);
    EXPECT_TRUE(compiled.ok()) << compiled.error().to_string();
    return std::move(*compiled);
  }

  WorldShape shape() const {
    WorldShape s{kGroup, kDim, kPage, 2, 2, {203, 90}};
    s.bos = 2;
    s.budget = 8;
    return s;
  }

  /// Scores of a flow that ends in `maker` equal `formula` on the middle pages, to rounding at the largest magnitude.
  void expect_score(const Maker& maker, const Formula& formula) {
    OneOp flow;
    flow.score = maker;
    const auto compiled = compile(flow);
    World world(shape(), compiled->fields(), 5);
    compiled->update(world.view, world.full_pages());
    for (int r = 0; r < world.step.rows(); ++r) {
      const Row row{&world, r, dtype()};
      const std::vector<float> got = compiled->scores(world.view, world.step, r, world.queries.data());
      ASSERT_EQ(static_cast<int>(got.size()), row.pages());
      double norm = 0;
      std::vector<double> expected;
      for (int j = 0; j < row.pages(); ++j) expected.push_back(j < row.bos() ? 0 : formula(row, j));
      for (double x : expected) norm = std::max(norm, std::abs(x));
      for (int j = row.bos(); j < row.pages(); ++j) {
        const double x = expected[static_cast<size_t>(j)];
        if (overflows(dtype(), x)) {
          EXPECT_EQ(got[static_cast<size_t>(j)], rounded(dtype(), static_cast<float>(x)));
        } else {
          EXPECT_NEAR(got[static_cast<size_t>(j)], x, norm * epsilon()) << "page " << j;
        }
      }
    }
  }

  /// The field that `maker` gives equals `formula` of the page's k [kPage, kDim].
  void expect_field(const CacheMaker& maker, FieldShape field,
                    const std::function<double(const std::vector<float>& k, int i, int j)>& formula) {
    OneOp flow;
    flow.cached = maker;
    flow.out = field;
    const auto compiled = compile(flow);
    World world(shape(), compiled->fields(), 5);
    compiled->update(world.view, world.full_pages());
    for (PageId page : world.full_pages()) {
      const std::vector<float> k = world.field(0, page), got = world.field(4, page);
      for (int i = 0; i < field.rows; ++i)
        for (int j = 0; j < field.cols; ++j) {
          const double expected = formula(k, i, j);
          EXPECT_NEAR(got[static_cast<size_t>(i * field.cols + j)], expected,
                      std::max(1.0, std::abs(expected)) * epsilon());
        }
    }
  }

  WorkerPool pool_{2};
};

Tensor usual(const Tensor& q, Flow::IndexerScope& c) { return gemm(mean(q, 1), c["b"]); }

/// sum over rows and columns through a product with ones would need an op under test: Sum is tested first.
TEST_P(Ops, ProductsAndSums) {
  expect_score(usual, [](const Row& r, int j) { return r.s(j); });
  expect_score([](const Tensor& q, auto& c) { return gemv(max(q, 1), c["b"]); },
               [](const Row& r, int j) {
                 double sum = 0;
                 for (int d = 0; d < kDim; ++d) sum += std::max({r.q(0, d), r.q(1, d), r.q(2, d)}) * r.b(j, d);
                 return sum;
               });
  // y times x transposed: [S, 2, 3]; the asymmetric weights tell rows from columns.
  expect_score([](const Tensor& q, auto& c) { return max(min(gemm(q, c["a"]), 1), 2); },
               [](const Row& r, int j) {
                 double best = -1e300;
                 for (int g = 0; g < kGroup; ++g) {
                   double low = 1e300;
                   for (int i = 0; i < 2; ++i) {
                     double dot = 0;
                     for (int d = 0; d < kDim; ++d) dot += double{r.a(j, i, d)} * r.q(g, d);
                     low = std::min(low, dot);
                   }
                   best = std::max(best, low);
                 }
                 return best;
               });
  expect_score([](const Tensor&, auto& c) { return l2norm(sum(c["a"], 1), 2); },
               [](const Row& r, int j) {
                 double squares = 0;
                 for (int d = 0; d < kDim; ++d) squares += std::pow(double{r.a(j, 0, d)} + r.a(j, 1, d), 2);
                 return std::sqrt(squares);
               });
  expect_score([](const Tensor&, auto& c) { return mean(log_sum_exp(c["a"], 2), 1); },
               [](const Row& r, int j) {
                 double total = 0;
                 for (int i = 0; i < 2; ++i) {
                   double sum = 0;
                   for (int d = 0; d < kDim; ++d) sum += std::exp(double{r.a(j, i, d)});
                   total += std::log(sum) / 2;
                 }
                 return total;
               });
  expect_score([](const Tensor&, auto& c) { return mean(log_sum_exp(c["a"], 1), 2); },
               [](const Row& r, int j) {
                 double total = 0;
                 for (int d = 0; d < kDim; ++d)
                   total += std::log(std::exp(double{r.a(j, 0, d)}) + std::exp(double{r.a(j, 1, d)})) / kDim;
                 return total;
               });
}

TEST_P(Ops, Binary) {
  struct Case {
    std::function<Tensor(const Tensor&, const Tensor&)> op;
    double (*value)(double x, double y);
  };
  const Case cases[] = {
      {[](auto& x, auto& y) { return multiply(x, y); }, [](double x, double y) { return x * y; }},
      {[](auto& x, auto& y) { return add(x, y, 2.0f, -0.5f); }, [](double x, double y) { return 2 * x - y / 2; }},
      {[](auto& x, auto& y) { return maximum(x, y); }, [](double x, double y) { return std::max(x, y); }},
      {[](auto& x, auto& y) { return minimum(x, y); }, [](double x, double y) { return std::min(x, y); }},
      {[](auto& x, auto& y) { return where_greater(x, y); }, [](double x, double y) { return x > y ? 0 : -1e30; }},
      {[](auto& x, auto& y) { return where_greater_equal(x, y); },
       [](double x, double y) { return x >= y ? 0 : -1e30; }},
      {[](auto& x, auto& y) { return where_less(x, y); }, [](double x, double y) { return x < y ? 0 : -1e30; }},
      {[](auto& x, auto& y) { return where_less_equal(x, y); }, [](double x, double y) { return x <= y ? 0 : -1e30; }},
      {[](auto& x, auto& y) { return where_equal(x, y); }, [](double x, double y) { return x == y ? 0 : -1e30; }},
      {[](auto& x, auto& y) { return where_not_equal(x, y); }, [](double x, double y) { return x != y ? 0 : -1e30; }},
  };
  // Broadcast of a row over two rows, of the query's mean over pages; the sum over columns is exact enough for masks.
  for (const Case& c : cases)
    expect_score([&](const Tensor& q, auto& s) { return max(mean(c.op(s["a"], c.op(s["b"], mean(q, 1))), 2), 1); },
                 [&](const Row& r, int j) {
                   double best = -1e300;
                   for (int i = 0; i < 2; ++i) {
                     double sum = 0;
                     for (int d = 0; d < kDim; ++d) {
                       const float qbar = static_cast<float>((double{r.q(0, d)} + r.q(1, d) + r.q(2, d)) / 3);
                       sum += c.value(r.a(j, i, d), c.value(r.b(j, d), qbar)) / kDim;
                     }
                     best = std::max(best, sum);
                   }
                   return best;
                 });
}

TEST_P(Ops, Unary) {
  struct Case {
    std::function<Tensor(const Tensor&)> op;
    double (*value)(double x);
  };
  const Case cases[] = {
      {[](auto& x) { return relu(x); }, [](double x) { return x >= 0 ? x : 0; }},
      {[](auto& x) { return relu(x, -0.5f, 7.0f); }, [](double x) { return x >= -0.5 ? x : 7; }},
      {[](auto& x) { return sigmoid(x); }, [](double) { return 0.5; }},
      {[](auto& x) { return sigmoid(x, 0.25f, -1.0f); }, [](double x) { return 1 / (1 + std::exp(0.25 - x)); }},
      {[](auto& x) { return silu(x); }, [](double x) { return x / 2; }},
      {[](auto& x) { return silu(x, 0.0f, -1.0f); }, [](double x) { return x / (1 + std::exp(-x)); }},
      {[](auto& x) { return add_mul(x, 3.0f, 2.0f); }, [](double x) { return 2 * x + 3; }},
      {[](auto& x) { return abs(x, 0.5f, -2.0f); }, [](double x) { return std::abs(0.5 - 2 * x); }},
      {[](auto& x) { return log(x, 100.0f, 1.0f); }, [](double x) { return std::log(x + 100); }},
      {[](auto& x) { return exp(x, 0.0f, 0.5f); }, [](double x) { return std::exp(x / 2); }},
  };
  for (const Case& c : cases)
    expect_score([&](const Tensor& q, auto& s) { return c.op(usual(q, s)); },
                 [&](const Row& r, int j) { return c.value(r.s(j)); });
}

TEST_P(Ops, ExpOverflowsAndLogOfZero) {
  const double inf = std::numeric_limits<double>::infinity();
  const auto check = [&](float alpha, auto op, double expected) {
    OneOp flow;
    flow.score = [=](const Tensor& q, Flow::IndexerScope& c) { return op(add_mul(usual(q, c), alpha, 0.0f)); };
    const auto compiled = compile(flow);
    World world(shape(), compiled->fields(), 5);
    compiled->update(world.view, world.full_pages());
    const float got = compiled->scores(world.view, world.step, 0, world.queries.data())[3];
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(got));
    } else if (overflows(dtype(), expected)) {
      EXPECT_EQ(got, rounded(dtype(), static_cast<float>(expected)));
    } else {
      EXPECT_NEAR(got / expected, 1, std::max(epsilon(), 1e-4));
    }
  };
  check(
      89.0f, [](const Tensor& x) { return exp(x); }, inf);
  check(
      88.6f, [](const Tensor& x) { return exp(x); }, std::exp(88.6));
  check(
      -200.0f, [](const Tensor& x) { return add_mul(exp(x), 1.0f, 1.0f); }, 1);
  check(
      0.0f, [](const Tensor& x) { return log(x); }, -inf);
  check(
      -1.0f, [](const Tensor& x) { return log(x); }, std::numeric_limits<double>::quiet_NaN());
}

TEST_P(Ops, PageAxis) {
  const auto sum_over = [](const Row& r, auto value) {
    double total = 0;
    for (int j = r.bos(); j < r.pages(); ++j) total += value(r.rounded_s(j));
    return total;
  };
  expect_score([](const Tensor& q, auto& c) { return softmax(usual(q, c), 0, 0.3f); },
               [&](const Row& r, int j) {
                 const auto weight = [](float x) { return std::exp(0.3 * x); };
                 return weight(r.rounded_s(j)) / sum_over(r, weight);
               });
  expect_score([](const Tensor& q, auto& c) { return normalize(usual(q, c), 0); },
               [&](const Row& r, int j) {
                 return r.rounded_s(j) / std::sqrt(sum_over(r, [](float x) { return double{x} * x; }));
               });
  expect_score(
      [](const Tensor& q, auto& c) {
        return conv1d(usual(q, c), {0.5f, -1.0f, 2.0f}, 3);
      },
      [](const Row& r, int j) {
        const auto at = [&](int s) { return s < r.bos() ? 0.0 : double{r.rounded_s(s)}; };
        return 0.5 * at(j) - at(j - 1) + 2 * at(j - 2);
      });
  expect_score([](const Tensor& q, auto& c) { return add(usual(q, c), mean(usual(q, c), 0), 1.0f, -1.0f); },
               [&](const Row& r, int j) {
                 const double mean = sum_over(r, [](float x) { return double{x}; }) / (r.pages() - r.bos());
                 return r.rounded_s(j) - rounded(r.dtype, static_cast<float>(mean));
               });
  expect_score([](const Tensor& q, auto& c) { return multiply(usual(q, c), max(usual(q, c), 0)); },
               [&](const Row& r, int j) {
                 float best = -1e30f;
                 for (int s = r.bos(); s < r.pages(); ++s) best = std::max(best, r.rounded_s(s));
                 return double{r.rounded_s(j)} * best;
               });
}

TEST_P(Ops, Layout) {
  // Kron's x index is the slow one: row i * 2 + j of the result is q[i] * a[j]; the mask picks row 3 = q[1] * a[1].
  expect_score(
      [](const Tensor& q, auto& c) {
        const Tensor product = kron(q, c["a"], {1});
        return sum(sum(multiply(product, mask_slice(product, 3, 4, 1)), 2), 1);
      },
      [](const Row& r, int j) {
        double sum = 0;
        for (int d = 0; d < kDim; ++d) sum += double{r.q(1, d)} * r.a(j, 1, d);
        return sum;
      });
  // dim 2: column k * 3 + l is b[k] * (column l of the transposed product).
  expect_score(
      [](const Tensor& q, auto& c) {
        const Tensor product = kron(c["b"], gemm(q, c["b"]), {2});
        return sum(multiply(product, mask_slice(product, 7, 8, 2)), 2);
      },
      [](const Row& r, int j) {
        double dot = 0;
        for (int d = 0; d < kDim; ++d) dot += double{r.q(1, d)} * r.b(j, d);
        return r.b(j, 2) * dot;
      });
  // Transpose to [S, kDim, 2], flatten, pick element 2 * 5 + 1 = a[1][5].
  expect_score(
      [](const Tensor&, auto& c) {
        const Tensor flat = reshape(transpose(c["a"]), 1, 2 * kDim);
        return sum(multiply(flat, mask_slice(flat, 11, 12, 2, 3.0f, 0.0f)), 2);
      },
      [](const Row& r, int j) { return 3.0 * r.a(j, 1, 5); });
  // A rotation keeps dot products.
  expect_score([](const Tensor& q, auto& c) { return gemm(rotate(mean(q, 1)), rotate(c["b"])); },
               [](const Row& r, int j) { return r.s(j); });
}

TEST_P(Ops, LoadSeesWhatEarlierStepsSaved) {
  OneOp flow;
  flow.out = {1, 1};
  flow.cached = [](Flow::CacheScope& c) { return add_mul(min(mean(c["k"], 1), 2), 1.0f, 0.0f); };  // 1 on each page
  flow.score = [](const Tensor& q, Flow::IndexerScope& c) {
    const Tensor score = add(c.load("out"), usual(q, c), 0.5f, 1.0f);
    c.save("out", score);
    return score;
  };
  const auto compiled = compile(flow);
  World world(shape(), compiled->fields(), 5);
  compiled->update(world.view, world.full_pages());
  const Row row{&world, 0, dtype()};
  const auto scores = [&] { return compiled->scores(world.view, world.step, 0, world.queries.data()); };
  const auto first = scores();
  EXPECT_EQ(scores(), first);  // looking saves nothing
  PageList list;
  list_reserved_pages(world.step, world.view, &list);
  ASSERT_TRUE(compiled->select(world.view, world.step, world.queries.data(), &list).ok());
  const auto second = scores();
  for (int j = 0; j < row.pages(); ++j) {
    const auto index = static_cast<size_t>(j);
    EXPECT_NEAR(first[index], 0.5 + row.s(j), 20 * epsilon());
    EXPECT_NEAR(second[index], 0.5 * first[index] + row.s(j), 20 * epsilon());
    EXPECT_EQ(world.field(4, world.page(0, j))[0], 1.0f);  // pages may be shared: only the sequence's copy changes
  }
}

TEST_P(Ops, CacheSide) {
  const auto k_at = [](const std::vector<float>& k, int t, int d) {
    return double{k[static_cast<size_t>(t * kDim + d)]};
  };
  expect_field([](auto& c) { return mean_interleave(c["k"], 1, 4); }, {2, kDim},
               [&](const auto& k, int i, int d) {
                 double sum = 0;
                 for (int t = 0; t < 4; ++t) sum += k_at(k, i * 4 + t, d) / 4;
                 return sum;
               });
  expect_field([](auto& c) { return min_interleave(c["k"], 2, 5); }, {kPage, kDim / 5},
               [&](const auto& k, int t, int j) {
                 double low = 1e300;
                 for (int d = 0; d < 5; ++d) low = std::min(low, k_at(k, t, j * 5 + d));
                 return low;
               });
  expect_field([](auto& c) { return l2norm_interleave(c["k"], 1, 2); }, {4, kDim},
               [&](const auto& k, int i, int d) { return std::hypot(k_at(k, 2 * i, d), k_at(k, 2 * i + 1, d)); });
  expect_field([](auto& c) { return std_dev(c["k"], 1); }, {1, kDim},
               [&](const auto& k, int, int d) {
                 double mean = 0, spread = 0;
                 for (int t = 0; t < kPage; ++t) mean += k_at(k, t, d) / kPage;
                 for (int t = 0; t < kPage; ++t) spread += std::pow(k_at(k, t, d) - mean, 2) / kPage;
                 return std::sqrt(spread);
               });
  expect_field([](auto& c) { return std_dev(c["k"], 2); }, {kPage, 1},
               [&](const auto& k, int t, int) {
                 double mean = 0, spread = 0;
                 for (int d = 0; d < kDim; ++d) mean += k_at(k, t, d) / kDim;
                 for (int d = 0; d < kDim; ++d) spread += std::pow(k_at(k, t, d) - mean, 2) / kDim;
                 return std::sqrt(spread);
               });
  expect_field([](auto& c) { return gemm(min(c["k"], 1), c["k"]); }, {kPage, 1},
               [&](const auto& k, int t, int) {
                 double dot = 0;
                 for (int d = 0; d < kDim; ++d) {
                   double low = 1e300;
                   for (int u = 0; u < kPage; ++u) low = std::min(low, k_at(k, u, d));
                   dot += low * k_at(k, t, d);
                 }
                 return dot;
               });
}

INSTANTIATE_TEST_SUITE_P(All, Ops,
                         testing::Combine(testing::Values(BackendKind::kInterpreter, BackendKind::kCpu),
                                          testing::Values(DType::kF32, DType::kBF16, DType::kF16)));

}  // namespace
}  // namespace vortex::flow
