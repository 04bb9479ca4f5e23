// Many small products in one call, as mixtures of experts and latent attention make them: the same bits as one at a
// time, on every backend.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>

#include "kernels/testing/backends.h"
#include "kernels/testing/random_weights.h"
#include "tensor/quant_blocks.h"

namespace vortex::kernels {
namespace {

using testing::Instance;
using testing::random_activations;
using testing::random_matrix;
using testing::RandomMatrix;

class GroupedMatmulTest : public ::testing::TestWithParam<testing::Backend> {
 protected:
  DenseOps& ops() { return *instance_.ops; }

 private:
  Instance instance_{GetParam()};
};

/// One group with its own memory: some products of one input, whose rows lie `gap` floats further apart than needed.
struct Group {
  Group(DenseOps* ops, const std::vector<std::pair<DType, int64_t>>& weights, int64_t cols, int64_t token_count,
        int64_t gap, uint32_t seed)
      : tokens(token_count), x_stride(cols + gap), x(random_activations(token_count * (cols + gap) + cols, seed)) {
    for (const auto& [dtype, rows] : weights) {
      sources.push_back(random_matrix(dtype, rows, cols, ++seed));
      matrices.push_back(ops->prepare(sources.back().view).value());
      biases.push_back(random_activations(rows, ++seed));
      outs.emplace_back(static_cast<size_t>(token_count * (rows + 3)), 2.0f);
    }
  }

  /// The products; every second one has a bias, every third accumulates.
  std::vector<Product> products() {
    std::vector<Product> list;
    for (size_t p = 0; p < matrices.size(); ++p)
      list.push_back({matrices[p].get(), outs[p].data(), matrices[p]->rows() + 3,
                      p % 2 == 1 ? biases[p].data() : nullptr, p % 3 == 2});
    return list;
  }

  /// Each token and product in a call of its own, from a contiguous copy of the token.
  std::vector<std::vector<float>> one_at_a_time(DenseOps* ops) const {
    std::vector<std::vector<float>> alone;
    for (size_t p = 0; p < matrices.size(); ++p) {
      const int64_t rows = matrices[p]->rows(), cols = matrices[p]->cols(), stride = rows + 3;
      alone.emplace_back(static_cast<size_t>(tokens * stride), 2.0f);
      for (int64_t t = 0; t < tokens; ++t) {
        const std::vector<float> token(x.begin() + t * x_stride, x.begin() + t * x_stride + cols);
        const Product one{matrices[p].get(), alone[p].data() + t * stride, rows,
                          p % 2 == 1 ? biases[p].data() : nullptr, p % 3 == 2};
        ops->matmul(token.data(), 1, {&one, 1});
      }
    }
    return alone;
  }

  int64_t tokens, x_stride;
  std::vector<float> x;
  std::vector<RandomMatrix> sources;
  std::vector<std::unique_ptr<Matrix>> matrices;
  std::vector<std::vector<float>> biases, outs;
};

void run_together(DenseOps* ops, std::vector<Group>* groups) {
  std::vector<std::vector<Product>> products;
  std::vector<ProductGroup> list;
  for (Group& group : *groups) products.push_back(group.products());
  for (size_t g = 0; g < groups->size(); ++g)
    list.push_back({(*groups)[g].x.data(), (*groups)[g].x_stride, (*groups)[g].tokens, products[g]});
  ops->matmul(list);
}

std::vector<Group> mixed_groups(DenseOps* ops) {
  std::vector<Group> groups;
  groups.emplace_back(ops, std::vector{std::pair{DType::kQ4_K, int64_t{40}}, {DType::kBF16, 19}}, 256, 5, 0, 100);
  groups.emplace_back(ops, std::vector{std::pair{DType::kF32, int64_t{33}}}, 70, 3, 11, 200);
  groups.emplace_back(ops, std::vector{std::pair{DType::kQ8_0, int64_t{64}}, {DType::kQ8_0, 64}, {DType::kF16, 8}}, 96,
                      0, 0, 300);
  groups.emplace_back(ops, std::vector{std::pair{DType::kQ8_0, int64_t{64}}, {DType::kQ6_K, 64}, {DType::kF16, 8}}, 512,
                      1, 64, 400);
  groups.emplace_back(ops, std::vector{std::pair{DType::kF16, int64_t{100}}, {DType::kQ5_0, 7}, {DType::kQ4_0, 17}}, 64,
                      67, 32, 500);
  groups.emplace_back(ops, std::vector<std::pair<DType, int64_t>>{}, 64, 2, 0, 600);
  return groups;
}

TEST_P(GroupedMatmulTest, GroupsGiveTheBitsOfSingleCalls) {
  std::vector<Group> groups = mixed_groups(&ops());
  run_together(&ops(), &groups);
  for (size_t g = 0; g < groups.size(); ++g)
    EXPECT_EQ(groups[g].outs, groups[g].one_at_a_time(&ops())) << "group " << g;
}

TEST_P(GroupedMatmulTest, TheNumberOfThreadsChangesNothing) {
  std::vector<Group> groups = mixed_groups(&ops());
  run_together(&ops(), &groups);
  for (const int threads : {1, 3, 8}) {
    Instance other({"", GetParam().isa, threads});
    std::vector<Group> again = mixed_groups(other.ops.get());
    run_together(other.ops.get(), &again);
    for (size_t g = 0; g < groups.size(); ++g)
      EXPECT_EQ(groups[g].outs, again[g].outs) << "group " << g << ", threads " << threads;
  }
}

TEST_P(GroupedMatmulTest, ASecondCallDoesNotSeeTheFirst) {
  std::vector<Group> groups = mixed_groups(&ops());
  run_together(&ops(), &groups);
  std::vector<Group> small;
  small.emplace_back(&ops(), std::vector{std::pair{DType::kQ4_1, int64_t{24}}}, 128, 2, 0, 900);
  run_together(&ops(), &small);
  EXPECT_EQ(small[0].outs, small[0].one_at_a_time(&ops()));
}

TEST_P(GroupedMatmulTest, HeadsOfAWideRowMatchTheFormula) {
  constexpr int64_t kTokens = 4, kHeads = 6, kWidth = 48, kRows = 20, kRow = kHeads * kWidth;
  const std::vector<float> x = random_activations(kTokens * kRow, 1);
  std::vector<RandomMatrix> sources;
  std::vector<std::unique_ptr<Matrix>> matrices;
  std::vector<float> out(kTokens * kHeads * kRows, NAN);
  std::vector<Product> products;
  std::vector<ProductGroup> groups;
  for (int64_t h = 0; h < kHeads; ++h) {
    sources.push_back(random_matrix(DType::kF16, kRows, kWidth, static_cast<uint32_t>(h)));
    matrices.push_back(ops().prepare(sources.back().view).value());
    products.push_back({matrices.back().get(), out.data() + h * kRows, kHeads * kRows});
  }
  for (int64_t h = 0; h < kHeads; ++h)
    groups.push_back({x.data() + h * kWidth, kRow, kTokens, {&products[static_cast<size_t>(h)], 1}});
  ops().matmul(groups);
  for (int64_t h = 0; h < kHeads; ++h) {
    std::vector<float> w(kRows * kWidth);
    dequantize(DType::kF16, sources[static_cast<size_t>(h)].view.data, w.data(), kRows * kWidth);
    for (int64_t t = 0; t < kTokens; ++t)
      for (int64_t r = 0; r < kRows; ++r) {
        double want = 0.0;
        for (int64_t c = 0; c < kWidth; ++c)
          want += double{w[static_cast<size_t>(r * kWidth + c)]} * x[static_cast<size_t>(t * kRow + h * kWidth + c)];
        ASSERT_NEAR(out[static_cast<size_t>((t * kHeads + h) * kRows + r)], want, 1e-4);
      }
  }
}

TEST_P(GroupedMatmulTest, NamedRowsAreTheInputs) {
  constexpr int64_t kCols = 64, kRows = 20, kStride = 70;
  std::vector<int64_t> rows = {5, 0, 5, 2};
  for (int64_t t = 0; t < 40; ++t) rows.push_back(t % 6);
  const auto tokens = static_cast<int64_t>(rows.size());
  const std::vector<float> x = random_activations(6 * kStride, 1);
  std::vector<float> gathered;
  for (const int64_t row : rows)
    gathered.insert(gathered.end(), x.begin() + row * kStride, x.begin() + row * kStride + kCols);
  const RandomMatrix blocks = random_matrix(DType::kQ8_0, kRows, kCols, 2),
                     floats = random_matrix(DType::kF16, kRows, kCols, 3);
  const auto of_blocks = ops().prepare(blocks.view).value(), of_floats = ops().prepare(floats.view).value();
  std::vector<float> named(static_cast<size_t>(2 * tokens * kRows)), plain(named.size());
  const auto products = [&](std::vector<float>* out) {
    return std::array{Product{of_blocks.get(), out->data(), 2 * kRows},
                      Product{of_floats.get(), out->data() + kRows, 2 * kRows}};
  };
  const auto by_name = products(&named), by_copy = products(&plain);
  const ProductGroup groups[] = {{x.data(), kStride, tokens, by_name, rows.data()},
                                 {gathered.data(), kCols, tokens, by_copy}};
  ops().matmul(groups);
  EXPECT_EQ(named, plain);
}

TEST_P(GroupedMatmulTest, NoGroupsAndEmptyGroupsAreNoWork) {
  ops().matmul(std::span<const ProductGroup>{});
  const ProductGroup nothing[] = {{nullptr, 0, 0, {}}, {nullptr, 0, 3, {}}};
  ops().matmul(nothing);
}

TEST_P(GroupedMatmulTest, AnOwnedMatrixOutlivesItsSource) {
  const RandomMatrix source = random_matrix(DType::kF16, 9, 64, 5);
  auto memory = std::make_unique<std::byte[]>(source.bytes.size());
  std::memcpy(memory.get(), source.bytes.data(), source.bytes.size());
  const TensorView view{memory.get(), DType::kF16, Shape{9, 64}};
  const auto owned = ops().prepare_owned(view, std::move(memory)).value(), plain = ops().prepare(source.view).value();
  const std::vector<float> x = random_activations(2 * 64, 6);
  std::vector<float> a(18), b(18);
  const Product from_owned{owned.get(), a.data(), 9}, from_plain{plain.get(), b.data(), 9};
  ops().matmul(x.data(), 2, {&from_owned, 1});
  ops().matmul(x.data(), 2, {&from_plain, 1});
  EXPECT_EQ(a, b);
}

INSTANTIATE_TEST_SUITE_P(Backends, GroupedMatmulTest, ::testing::ValuesIn(testing::backends()),
                         [](const auto& backend) { return backend.param.name; });

}  // namespace
}  // namespace vortex::kernels
