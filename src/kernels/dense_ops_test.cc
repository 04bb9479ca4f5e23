// One test body for every backend: plain reference, and the CPU kernels of each instruction set this machine has.
#include "kernels/dense_ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/testing/backends.h"
#include "kernels/testing/random_weights.h"
#include "tensor/quant_blocks.h"

namespace vortex::kernels {
namespace {

using testing::random_activations;
using testing::random_matrix;
using testing::RandomMatrix;

constexpr float kEpsilon = std::numeric_limits<float>::epsilon();
constexpr DType kWeightTypes[] = {DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ8_0, DType::kQ4_0, DType::kQ4_1,
                                  DType::kQ5_0, DType::kQ5_1, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K};

using testing::Backend;
using testing::Instance;

class DenseOpsTest : public ::testing::TestWithParam<Backend> {
 protected:
  DenseOps& ops() { return *instance_.ops; }
  bool quantizes_input(DType dtype) const { return GetParam().isa.has_value() && is_quantized(dtype); }

 private:
  Instance instance_{GetParam()};
};

std::vector<float> decoded(const TensorView& matrix) {
  std::vector<float> values(static_cast<size_t>(matrix.shape.elements()));
  dequantize(matrix.dtype, matrix.data, values.data(), matrix.shape.elements());
  return values;
}

/// The largest step of 8-bit codes in the group of 32 that column `c` belongs to: half of it is the rounding error.
float code_step(const float* x, int64_t c) {
  float largest = 0.0f;
  for (int64_t i = c / 32 * 32; i < c / 32 * 32 + 32; ++i) largest = std::max(largest, std::fabs(x[i]));
  return largest / 127.0f;
}

struct Expected {
  double value = 0.0;
  double float_error = 0.0;  // of sums in float32
  double code_error = 0.0;   // six standard deviations of the rounding of x to codes
};

Expected expected_dot(const float* w, const float* x, int64_t cols) {
  double value = 0.0, magnitude = 0.0, variance = 0.0;
  for (int64_t c = 0; c < cols; ++c) {
    value += double{w[c]} * x[c];
    magnitude += std::fabs(double{w[c]} * x[c]);
    const double step = double{w[c]} * (cols % 32 == 0 ? code_step(x, c) : 0.0f);
    variance += step * step / 12.0;
  }
  // The min of a block is subtracted as a whole, so terms as large as the codes' cancel: the factor 8 covers them.
  const double float_error = kEpsilon * magnitude * 8.0 * (1.0 + std::sqrt(static_cast<double>(cols)) / 4.0);
  return {value, float_error + 1e-30, 6.0 * std::sqrt(variance)};
}

/// Activations that 8-bit codes hold exactly.
std::vector<float> activations_on_grid(int64_t n, uint32_t seed) {
  std::vector<float> x = random_activations(n, seed);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = i % 32 == 5 ? 127.0f / 64.0f : std::round(std::fmod(x[i] * 20.0f, 127.0f)) / 64.0f;
  return x;
}

struct Case {
  DType dtype;
  int64_t rows, cols, tokens;
  std::string name() const { return fmt::format("{} [{}, {}] x {}", dtype_info(dtype).name, rows, cols, tokens); }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const DType dtype : kWeightTypes) {
    const bool super_blocks = dtype_info(dtype).block_elements == 256;
    for (const auto& [rows, cols] : {std::pair{1, 32}, {7, 64}, {8, 576}, {17, 96}, {33, 1536}, {67, 256}})
      for (const int tokens : {1, 2, 3, 5, 16, 33, 128}) {
        if (rows * cols * tokens > 1'000'000) continue;
        all.push_back({dtype, rows, super_blocks ? (cols + 255) / 256 * 256 : cols, tokens});
      }
  }
  return all;
}

void expect_product(const Case& c, const std::vector<float>& weights, const std::vector<float>& x,
                    const std::vector<float>& out, bool with_code_error) {
  for (int64_t t = 0; t < c.tokens; ++t) {
    for (int64_t r = 0; r < c.rows; ++r) {
      const Expected want =
          expected_dot(&weights[static_cast<size_t>(r * c.cols)], &x[static_cast<size_t>(t * c.cols)], c.cols);
      ASSERT_NEAR(out[static_cast<size_t>(t * c.rows + r)], want.value,
                  want.float_error + (with_code_error ? want.code_error : 0.0))
          << c.name() << ", token " << t << ", row " << r;
    }
  }
}

std::vector<float> product(DenseOps& ops, const TensorView& weight, const std::vector<float>& x, int64_t tokens) {
  const std::unique_ptr<Matrix> matrix = ops.prepare(weight).value();
  std::vector<float> out(static_cast<size_t>(tokens * weight.rows()), NAN);
  const Product one{.weight = matrix.get(), .out = out.data(), .out_stride = weight.rows()};
  ops.matmul(x.data(), tokens, std::span(&one, 1));
  return out;
}

TEST_P(DenseOpsTest, ProductsAreRightForEveryTypeAndShape) {
  uint32_t seed = 1;
  for (const Case& c : cases()) {
    const RandomMatrix weight = random_matrix(c.dtype, c.rows, c.cols, ++seed);
    const std::vector<float> weights = decoded(weight.view);
    const std::vector<float> grid = activations_on_grid(c.tokens * c.cols, seed);
    expect_product(c, weights, grid, product(ops(), weight.view, grid, c.tokens), false);
    const std::vector<float> x = random_activations(c.tokens * c.cols, seed);
    expect_product(c, weights, x, product(ops(), weight.view, x, c.tokens), quantizes_input(c.dtype));
  }
}

TEST_P(DenseOpsTest, FloatWeightsNeedNoMultipleOf32Columns) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    const Case c{dtype, 19, 37, 7};
    const RandomMatrix weight = random_matrix(c.dtype, c.rows, c.cols, 3);
    const std::vector<float> x = random_activations(c.tokens * c.cols, 4);
    expect_product(c, decoded(weight.view), x, product(ops(), weight.view, x, c.tokens), false);
  }
}

TEST_P(DenseOpsTest, CodesAtTheirLimitsDoNotOverflow) {
  for (const DType dtype : kWeightTypes) {
    if (!is_quantized(dtype)) continue;
    for (const uint8_t fill : {0x00, 0x7f, 0x80, 0xff}) {
      const Case c{dtype, 16, 512, 2};
      RandomMatrix weight = random_matrix(dtype, c.rows, c.cols, 1);
      // Keep the float16 scales (they sit at either end of a block), fill all else.
      const auto block = static_cast<size_t>(dtype_info(dtype).block_bytes);
      for (size_t i = 0; i < weight.bytes.size(); ++i) {
        const size_t at = i % block;
        const bool is_scale = dtype == DType::kQ6_K ? at >= block - 2 : at < 4;
        if (!is_scale) weight.bytes[i] = static_cast<std::byte>(fill);
      }
      weight.view.data = weight.bytes.data();
      std::vector<float> x(static_cast<size_t>(c.tokens * c.cols));
      for (size_t i = 0; i < x.size(); ++i) x[i] = i < 512 || i % 2 == 0 ? 127.0f : -127.0f;
      expect_product(c, decoded(weight.view), x, product(ops(), weight.view, x, c.tokens), false);
    }
  }
}

TEST_P(DenseOpsTest, ProductListSharesItsInputAndAddsBiasAndResidual) {
  constexpr int64_t kTokens = 5, kCols = 256;
  const RandomMatrix a = random_matrix(DType::kQ4_1, 21, kCols, 1), b = random_matrix(DType::kBF16, 40, kCols, 2),
                     c = random_matrix(DType::kQ6_K, 3, kCols, 3);
  const std::vector<float> x = activations_on_grid(kTokens * kCols, 4), bias = random_activations(64, 5);
  const auto ma = ops().prepare(a.view).value(), mb = ops().prepare(b.view).value(), mc = ops().prepare(c.view).value();
  constexpr int64_t kStride = 70;  // one output row: a, b, c side by side and six floats that nobody may touch
  std::vector<float> out(kTokens * kStride, 3.0f);
  const Product products[] = {{ma.get(), out.data(), kStride, bias.data(), false},
                              {mb.get(), out.data() + 21, kStride, nullptr, true},
                              {mc.get(), out.data() + 61, kStride, bias.data() + 8, true}};
  ops().matmul(x.data(), kTokens, products);
  for (int64_t t = 0; t < kTokens; ++t) {
    for (int64_t r = 0; r < kStride; ++r) {
      const RandomMatrix& matrix = r < 21 ? a : r < 61 ? b : c;
      const int64_t row = r < 21 ? r : r < 61 ? r - 21 : r - 61;
      const float got = out[static_cast<size_t>(t * kStride + r)];
      if (r >= 64) {
        EXPECT_EQ(got, 3.0f);
        continue;
      }
      const std::vector<float> weights = decoded(matrix.view);
      const Expected want =
          expected_dot(&weights[static_cast<size_t>(row * kCols)], &x[static_cast<size_t>(t * kCols)], kCols);
      const double extra = r < 21   ? bias[static_cast<size_t>(row)]
                           : r < 61 ? 3.0
                                    : 3.0 + bias[static_cast<size_t>(row) + 8];
      EXPECT_NEAR(got, want.value + extra, want.float_error + 16 * kEpsilon) << "token " << t << " row " << r;
    }
  }
}

TEST_P(DenseOpsTest, ATokenDoesNotDependOnItsBatchNorOnTheThreads) {
  constexpr int64_t kTokens = 131, kRows = 75, kCols = 512;
  for (const DType dtype : kWeightTypes) {
    const RandomMatrix weight = random_matrix(dtype, kRows, kCols, 9);
    const std::vector<float> x = random_activations(kTokens * kCols, 10);
    const std::vector<float> all = product(ops(), weight.view, x, kTokens);
    for (const int threads : {1, 2, 3, 8}) {
      Instance other({"", GetParam().isa, threads});
      EXPECT_EQ(product(*other.ops, weight.view, x, kTokens), all) << dtype_info(dtype).name << ", threads " << threads;
    }
    for (const int64_t tokens : {1, 2, 3, 4, 5, 7, 8, 13}) {
      const std::vector<float> few = product(ops(), weight.view, x, tokens);
      EXPECT_TRUE(std::equal(few.begin(), few.end(), all.begin())) << dtype_info(dtype).name << ", tokens " << tokens;
    }
  }
}

TEST_P(DenseOpsTest, ZeroTokensWriteNothing) {
  const RandomMatrix weight = random_matrix(DType::kQ8_0, 4, 32, 1);
  EXPECT_TRUE(product(ops(), weight.view, {}, 0).empty());
}

TEST_P(DenseOpsTest, PrepareRefusesWhatIsNoWeight) {
  const std::vector<std::byte> bytes(4096);
  const auto error = [&](DType dtype, Shape shape) {
    const auto result = ops().prepare({bytes.data(), dtype, shape});
    return result.ok() ? "accepted" : result.error().to_string();
  };
  EXPECT_EQ(
      error(DType::kI32, {4, 32}),
      "no matrix product for weights of type int32 (use float32, float16, bfloat16, q8_0, q4_0, q4_1, q5_0, q5_1, "
      "q4_k, q5_k or q6_k)");
  EXPECT_EQ(error(DType::kF32, {32}), "a weight of shape [32] is not a matrix (check the file)");
  EXPECT_EQ(error(DType::kF32, {0, 32}), "a weight of shape [0, 32] is not a matrix (check the file)");
  EXPECT_EQ(error(DType::kQ4_K, {1, 128}),
            "128 columns are not a multiple of the 256 elements of a q4_k block (check the file)");
}

TEST_P(DenseOpsTest, EmbedDecodesExactly) {
  for (const DType dtype : kWeightTypes) {
    const RandomMatrix table = random_matrix(dtype, 9, 512, 6);
    const std::vector<float> rows = decoded(table.view);
    for (const size_t count : {size_t{1}, size_t{100}}) {
      std::vector<int32_t> ids;
      for (size_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>((8 - i * 5) % 9));
      std::vector<float> out(count * 512);
      ops().embed(table.view, ids, out.data());
      for (size_t i = 0; i < out.size(); ++i)
        ASSERT_EQ(out[i], rows[static_cast<size_t>(ids[i / 512]) * 512 + i % 512]) << dtype_info(dtype).name;
    }
  }
}

TEST_P(DenseOpsTest, RmsNormDividesByTheRootMeanSquare) {
  for (const auto& [rows, cols] : {std::pair{1, 1}, {3, 5}, {5, 16}, {2, 31}, {64, 64}, {33, 576}}) {
    const int64_t stride = cols + 3;
    const std::vector<float> x = random_activations(rows * stride, 7), weight = random_activations(cols, 8);
    std::vector<float> out(static_cast<size_t>(rows * cols));
    ops().rms_norm(x.data(), stride, weight.data(), 1e-5f, rows, cols, out.data());
    for (int r = 0; r < rows; ++r) {
      const float* in = &x[static_cast<size_t>(r * stride)];
      double squares = 0.0;
      for (int c = 0; c < cols; ++c) squares += double{in[c]} * in[c];
      for (int c = 0; c < cols; ++c) {
        const double want = in[c] * weight[static_cast<size_t>(c)] / std::sqrt(squares / cols + 1e-5);
        ASSERT_NEAR(out[static_cast<size_t>(r * cols + c)], want, std::fabs(want) * 16 * kEpsilon)
            << rows << "x" << cols;
      }
    }
  }
}

TEST_P(DenseOpsTest, RmsNormWorksInPlace) {
  std::vector<float> x = random_activations(3 * 40, 7), weight(40, 2.0f), apart(120);
  ops().rms_norm(x.data(), 40, weight.data(), 1e-6f, 3, 40, apart.data());
  ops().rms_norm(x.data(), 40, weight.data(), 1e-6f, 3, 40, x.data());
  EXPECT_EQ(x, apart);
}

TEST_P(DenseOpsTest, RopeRotatesPairsAndLeavesTheRest) {
  constexpr int kTokens = 3, kHeads = 2, kStride = 150;
  for (const bool interleaved : {false, true}) {
    for (const auto& [head_dim, pairs] : {std::pair{64, 32}, {64, 8}, {70, 33}, {6, 3}}) {
      const std::vector<float> before = random_activations(kTokens * kStride, 11);
      std::vector<float> x = before, cos, sin;
      for (int i = 0; i < kTokens * pairs; ++i) {
        cos.push_back(static_cast<float>(std::cos(0.37 * i)));
        sin.push_back(static_cast<float>(std::sin(0.37 * i)));
      }
      ops().rope(x.data(), kTokens, kStride, kHeads, head_dim, {cos.data(), sin.data(), pairs, interleaved});
      std::vector<double> want(before.begin(), before.end());
      for (int t = 0; t < kTokens; ++t)
        for (int h = 0; h < kHeads; ++h)
          for (int i = 0; i < pairs; ++i) {
            const auto head = static_cast<size_t>(t * kStride + h * head_dim);
            const size_t a = head + static_cast<size_t>(interleaved ? 2 * i : i);
            const size_t b = head + static_cast<size_t>(interleaved ? 2 * i + 1 : i + pairs);
            const auto angle = static_cast<size_t>(t * pairs + i);
            want[a] = double{before[a]} * cos[angle] - double{before[b]} * sin[angle];
            want[b] = double{before[b]} * cos[angle] + double{before[a]} * sin[angle];
          }
      for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], want[i], 64 * kEpsilon) << head_dim << " " << pairs;
    }
  }
}

double gated(Gating gating, double gate, double up) {
  const double cube = gate + 0.044715 * gate * gate * gate, clamped = std::min(gate, 7.0);
  switch (gating) {
    case Gating::kSilu:
      break;
    case Gating::kGeluTanh:  // (1 + tanh(u)) / 2 = 1 / (1 + exp(-2u)), exact where tanh is -1 in double
      return gate / (1.0 + std::exp(-2.0 * std::sqrt(2.0 / M_PI) * cube)) * up;
    case Gating::kClampedSwiglu:
      return clamped / (1.0 + std::exp(-1.702 * clamped)) * (std::clamp(up, -7.0, 7.0) + 1.0);
  }
  return gate / (1.0 + std::exp(-gate)) * up;
}

/// What exp is taken of; its rounding error is relative to this.
double exponent(Gating gating, double gate) {
  return gating == Gating::kGeluTanh ? 1.6 * (gate + 0.044715 * gate * gate * gate) : 1.702 * gate;
}

TEST_P(DenseOpsTest, GatesOverTheWholeRange) {
  for (const Gating gating : {Gating::kSilu, Gating::kGeluTanh, Gating::kClampedSwiglu}) {
    for (const int n : {1, 7, 16, 1000, 20011}) {
      std::vector<float> gate, up = random_activations(n, 12);
      for (int i = 0; i < n; ++i) gate.push_back(-120.0f + 240.0f * static_cast<float>(i) / static_cast<float>(n));
      const std::vector<float> before = gate;
      std::vector<float> out(static_cast<size_t>(n) + 1, -1.0f);
      ops().gate_mul(gating, gate.data(), up.data(), n, out.data());
      EXPECT_EQ(out.back(), -1.0f);
      ops().gate_mul(gating, gate.data(), up.data(), n, gate.data());
      for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
        const double g = before[i], want = gated(gating, g, up[i]);
        const double relative = 1e-6 + 3 * kEpsilon * std::min(90.0, std::fabs(exponent(gating, g)));
        // The reference's tanh and the sum with 1 cancel where the result is nothing beside g; up + 1 near -1.
        const double absolute = 1e-13 + (gating == Gating::kClampedSwiglu ? std::fabs(std::min(g, 7.0)) * kEpsilon : 0);
        ASSERT_NEAR(out[i], want, std::fabs(want) * relative + absolute)
            << "gating " << static_cast<int>(gating) << " at " << g;
        ASSERT_EQ(gate[i], out[i]);
      }
    }
  }
}

TEST_P(DenseOpsTest, GatesKeepNaN) {
  for (const Gating gating : {Gating::kSilu, Gating::kGeluTanh, Gating::kClampedSwiglu}) {
    std::vector<float> gate(19, 1.0f), up(19, 1.0f), out(19);
    gate[3] = gate[17] = up[5] = up[18] = NAN;
    ops().gate_mul(gating, gate.data(), up.data(), 19, out.data());
    for (size_t i = 0; i < 19; ++i) EXPECT_EQ(std::isnan(out[i]), i == 3 || i == 17 || i == 5 || i == 18) << i;
  }
}

TEST_P(DenseOpsTest, AddsWeightedRows) {
  constexpr int kPerToken = 3, kRows = 11;
  for (const int64_t cols : {5, 16, 2053})
    for (const int64_t tokens : {0, 1, 6}) {
      const std::vector<float> x = random_activations(kRows * cols, 1), before = random_activations(tokens * cols, 2);
      const std::vector<float> weights = random_activations(tokens * kPerToken, 3);
      std::vector<int64_t> rows;
      for (int64_t i = 0; i < tokens * kPerToken; ++i) rows.push_back(i * 7 % kRows);
      std::vector<float> out = before;
      ops().add_weighted_rows(x.data(), cols, rows.data(), weights.data(), tokens, kPerToken, out.data());
      for (size_t i = 0; i < out.size(); ++i) {
        const size_t token = i / static_cast<size_t>(cols), c = i % static_cast<size_t>(cols);
        double want = before[i], magnitude = std::fabs(want);
        for (size_t p = token * kPerToken; p < (token + 1) * kPerToken; ++p) {
          const double term = double{weights[p]} * x[static_cast<size_t>(rows[p] * cols) + c];
          want += term;
          magnitude += std::fabs(term);
        }
        ASSERT_NEAR(out[i], want, magnitude * 4 * kEpsilon) << "token " << token << " of " << tokens;
      }
    }
}

INSTANTIATE_TEST_SUITE_P(Backends, DenseOpsTest, ::testing::ValuesIn(testing::backends()),
                         [](const auto& backend) { return backend.param.name; });

}  // namespace
}  // namespace vortex::kernels
