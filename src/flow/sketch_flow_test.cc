// Our own flows against formulas written here, from k alone: sketches by their definition in double, bounds of
// sub-pages, centroid and spread.
#include <gtest/gtest.h>

#include <functional>

#include "base/worker_pool.h"
#include "flow/flow.h"
#include "flow/flow_testing.h"
#include "flows/registry.h"

namespace vortex::flow {
namespace {

using Vector = std::vector<double>;
using Formula = std::function<Vector(const World&, int row)>;

/// Orthonormal Walsh-Hadamard transform by its definition: entry (i, j) is (-1)^popcount(i & j) / sqrt(n); signs by the
/// mixed counter that the language fixes.
Vector rotated(const Vector& x) {
  const size_t n = x.size();
  Vector signed_x(n), out(n, 0.0);
  for (size_t i = 0; i < n; ++i) {
    uint64_t z = (i + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    signed_x[i] = ((z ^ (z >> 31)) & 1) != 0 ? -x[i] : x[i];
  }
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j < n; ++j)
      out[i] += (__builtin_popcountll(i & j) % 2 == 0 ? 1 : -1) * signed_x[j] / std::sqrt(static_cast<double>(n));
  return out;
}

/// Sketched values of one token: codes by the Gaussian's best step (any for one bit), the step that fits them best,
/// stored in bfloat16.
Vector sketched(const Vector& x, int bits) {
  double squares = 0, xc = 0, cc = 0;
  for (double v : x) squares += v * v / static_cast<double>(x.size());
  const double first = 0.9957 * std::sqrt(squares), half = bits == 1 ? 1 : 2;
  Vector out;
  for (double v : x) out.push_back(std::clamp(std::floor(v / first), -half, half - 1) + 0.5);
  for (size_t i = 0; i < x.size(); ++i) {
    xc += x[i] * out[i];
    cc += out[i] * out[i];
  }
  for (double& c : out) c *= round_to_bf16(static_cast<float>(xc / cc));
  return out;
}

Vector query_of(const World& world, int row, int head) {
  const float* q = world.query(row) + head * world.shape.head_dim;
  return {q, q + world.shape.head_dim};
}

/// The query as products with codes read it.
Vector to_eight_bits(Vector x) {
  double largest = 0;
  for (double v : x) largest = std::max(largest, std::abs(v));
  for (double& v : x) v = std::nearbyint(v / (largest / 127)) * (largest / 127);
  return x;
}

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

Vector token_of(const World& world, const std::vector<float>& k, int t) {
  const int d = world.shape.head_dim;
  return {k.begin() + t * d, k.begin() + (t + 1) * d};
}

int scored_pages(const World& world, int row) { return world.sequence(row).pages - world.shape.eos; }

/// Estimated logits q . k of a page, [head][token].
std::vector<Vector> estimates(const World& world, int row, int page, int bits) {
  const std::vector<float> k = world.field(0, world.page(row, page));
  std::vector<Vector> tokens, out;
  for (int t = 0; t < world.shape.page_tokens; ++t) tokens.push_back(sketched(rotated(token_of(world, k, t)), bits));
  for (int h = 0; h < world.shape.group; ++h) {
    const Vector q = to_eight_bits(rotated(query_of(world, row, h)));
    Vector& logits = out.emplace_back();
    for (const Vector& token : tokens) logits.push_back(dot(q, token));
  }
  return out;
}

Vector sketch_max(const World& world, int row, int bits) {
  const int n = scored_pages(world, row), bos = world.shape.bos;
  const double scale = 1 / std::sqrt(static_cast<double>(world.shape.head_dim));
  Vector out(static_cast<size_t>(n), 0.0), total(static_cast<size_t>(world.shape.group), 0.0);
  std::vector<Vector> best;  // [page][head], as exponentials
  for (int j = 0; j < n; ++j) {
    Vector& page = best.emplace_back();
    for (const Vector& logits : estimates(world, row, j, bits))
      page.push_back(std::exp(scale * *std::max_element(logits.begin(), logits.end())));
    for (size_t h = 0; j >= bos && h < page.size(); ++h) total[h] += page[h];
  }
  for (size_t j = 0; j < best.size(); ++j)
    for (size_t h = 0; h < total.size(); ++h) out[j] = std::max(out[j], best[j][h] / total[h]);
  return out;
}

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
  for (const WorldShape& shape : {WorldShape{4, 64, 16, 2, 2, {500, 90}}, WorldShape{3, 32, 32, 1, 1, {999}},
                                  WorldShape{9, 128, 8, 1, 1, {260}}, WorldShape{1, 64, 64, 1, 1, {1280}, 6}}) {
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
