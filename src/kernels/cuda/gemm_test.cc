#include "kernels/cuda/gemm.h"

#include <cuda_fp8.h>

#include <algorithm>

#include "kernels/cuda/cuda_testing.h"

namespace vortex::cuda {
namespace {

using namespace testing;
using GemmTest = GpuTest;

struct Problem {
  int64_t tokens, rows, cols;
  int batch = 1;
  bool y_float = false, accumulate = false, bias = false;
};

class Product {
 public:
  explicit Product(const Problem& problem)
      : p_(problem),
        weight_(random_rounded(p_.batch * p_.rows * p_.cols, 1, 0.05f)),
        x_(random_rounded(p_.batch * p_.tokens * p_.cols, 2)),
        before_(random_rounded(p_.batch * p_.tokens * p_.rows, 3)),
        bias_(random_floats(p_.rows, 4)) {}

  std::vector<float> run(cudaStream_t stream) {
    const auto weight = upload_bf16(weight_), x = upload_bf16(x_), y = upload_bf16(before_);
    const auto y_float = upload(before_), bias = upload(bias_);
    GemmCall call{.weight = weight.data(), .x = x.data(), .y_float = p_.y_float, .accumulate = p_.accumulate};
    call.y = p_.y_float ? static_cast<void*>(y_float.data()) : y.data();
    if (p_.bias) call.bias = bias.data();
    call.tokens = p_.tokens, call.rows = p_.rows, call.cols = p_.cols, call.batch = p_.batch;
    call.weight_step = p_.rows * p_.cols, call.x_step = p_.tokens * p_.cols, call.y_step = p_.tokens * p_.rows;
    Gemm gemm;
    gemm.run(call, stream);
    return p_.y_float ? download(y_float) : to_floats(download(y));
  }

  std::vector<float> expected() const {
    std::vector<float> out(before_.size());
    for (int64_t i = 0; i < static_cast<int64_t>(out.size()); ++i) {
      const int64_t row = i % p_.rows, token = i / p_.rows, problem = token / p_.tokens;
      double sum = p_.accumulate ? before_[static_cast<size_t>(i)] : 0.0;
      if (p_.bias) sum += bias_[static_cast<size_t>(row)];
      for (int64_t c = 0; c < p_.cols; ++c)
        sum += double{weight_[static_cast<size_t>((problem * p_.rows + row) * p_.cols + c)]} *
               x_[static_cast<size_t>(token * p_.cols + c)];
      out[static_cast<size_t>(i)] = static_cast<float>(sum);
    }
    return out;
  }

 private:
  Problem p_;
  std::vector<float> weight_, x_, before_, bias_;
};

void expect_product(const Problem& problem, cudaStream_t stream) {
  Product product(problem);
  const float relative = problem.y_float ? 1e-5f : 0.01f;
  expect_close(product.run(stream), product.expected(), problem.y_float ? 1e-3f : 0.01f, relative);
}

TEST_F(GemmTest, Products) {
  expect_product({.tokens = 1, .rows = 64, .cols = 32}, stream());
  expect_product({.tokens = 7, .rows = 136, .cols = 200}, stream());
  expect_product({.tokens = 64, .rows = 512, .cols = 256}, stream());
}

TEST_F(GemmTest, FloatOutputsAndAccumulation) {
  expect_product({.tokens = 5, .rows = 96, .cols = 128, .y_float = true}, stream());
  expect_product({.tokens = 5, .rows = 96, .cols = 128, .y_float = true, .accumulate = true}, stream());
  expect_product({.tokens = 5, .rows = 96, .cols = 128, .accumulate = true}, stream());
}

TEST_F(GemmTest, Biases) {
  expect_product({.tokens = 9, .rows = 300, .cols = 64, .bias = true}, stream());
  expect_product({.tokens = 9, .rows = 300, .cols = 64, .y_float = true, .accumulate = true, .bias = true}, stream());
}

TEST_F(GemmTest, Batches) {
  expect_product({.tokens = 3, .rows = 48, .cols = 64, .batch = 5}, stream());
  expect_product({.tokens = 3, .rows = 48, .cols = 64, .batch = 5, .bias = true}, stream());
}

/// As latent attention uses it: problems are columns of wider rows.
TEST_F(GemmTest, Strides) {
  constexpr int64_t kTokens = 4, kHeads = 3, kCols = 32, kRows = 16;
  const auto weight = random_rounded(kHeads * kRows * kCols, 1), x = random_rounded(kTokens * kHeads * kCols, 2);
  const auto w_device = upload_bf16(weight), x_device = upload_bf16(x);
  const DeviceArray<float> y(kTokens * kHeads * kRows);
  GemmCall call{.weight = w_device.data(), .x = x_device.data(), .y = y.data(), .y_float = true};
  call.tokens = kTokens, call.rows = kRows, call.cols = kCols, call.batch = kHeads;
  call.x_ld = kHeads * kCols, call.x_step = kCols, call.y_ld = kHeads * kRows, call.y_step = kRows;
  call.weight_step = kRows * kCols;
  Gemm gemm;
  gemm.run(call, stream());
  std::vector<float> want;
  for (int64_t t = 0; t < kTokens; ++t)
    for (int64_t hr = 0; hr < kHeads * kRows; ++hr) {
      double sum = 0;
      for (int64_t c = 0; c < kCols; ++c)
        sum += double{weight[static_cast<size_t>(hr * kCols + c)]} *
               x[static_cast<size_t>((t * kHeads + hr / kRows) * kCols + c)];
      want.push_back(static_cast<float>(sum));
    }
  expect_close(download(y), want, 1e-4f, 1e-5f);
}

std::vector<__nv_fp8_e4m3> to_fp8(const std::vector<float>& values) { return {values.begin(), values.end()}; }

TEST_F(GemmTest, Fp8Weights) {
  int major = 0;
  VORTEX_CUDA_CHECK(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0));
  if (major < 9) GTEST_SKIP() << "no products of fp8";
  for (const bool y_float : {false, true}) {
    constexpr int64_t kTokens = 5, kRows = 96, kCols = 128;
    const auto weight = to_fp8(random_floats(kRows * kCols, 1, 20.0f));
    const auto x = random_rounded(kTokens * kCols, 2);
    std::vector<float> scales, want;
    for (int64_t r = 0; r < kRows; ++r) scales.push_back(0.001f * static_cast<float>(r + 1));
    for (int64_t t = 0; t < kTokens; ++t) {
      float largest = 0;
      for (int64_t c = 0; c < kCols; ++c) largest = std::max(largest, std::fabs(x[static_cast<size_t>(t * kCols + c)]));
      const float step = largest / 448.0f;
      for (int64_t r = 0; r < kRows; ++r) {
        double sum = 0;
        for (int64_t c = 0; c < kCols; ++c)
          sum += static_cast<double>(static_cast<float>(__nv_fp8_e4m3(x[static_cast<size_t>(t * kCols + c)] / step))) *
                 static_cast<float>(weight[static_cast<size_t>(r * kCols + c)]);
        want.push_back(static_cast<float>(sum * step * scales[static_cast<size_t>(r)]));
      }
    }
    const auto weight_device = upload(weight);
    const auto scales_device = upload(scales);
    const auto x_device = upload_bf16(x);
    const DeviceArray<float> y(kTokens * kRows);
    const DeviceArray<__nv_bfloat16> y_rounded(kTokens * kRows);
    GemmCall call{.weight = weight_device.data(), .weight_scale = scales_device.data(), .x = x_device.data()};
    call.y = y_float ? static_cast<void*>(y.data()) : y_rounded.data(), call.y_float = y_float;
    call.tokens = kTokens, call.rows = kRows, call.cols = kCols;
    Gemm gemm;
    gemm.run(call, stream());
    expect_close(y_float ? download(y) : to_floats(download(y_rounded)), want, 0.02f, 0.01f);
  }
}

TEST_F(GemmTest, RunsInGraph) {
  const auto weight = upload_bf16(random_rounded(64 * 64, 1)), x = upload_bf16(random_rounded(8 * 64, 2));
  const DeviceArray<float> y(8 * 64);
  const GemmCall call{
      .weight = weight.data(), .x = x.data(), .y = y.data(), .y_float = true, .tokens = 8, .rows = 64, .cols = 64};
  Gemm gemm;
  gemm.run(call, stream());
  const std::vector<float> first = download(y);
  const Graph graph = capture(stream(), [&] { gemm.run(call, stream()); });
  VORTEX_CUDA_CHECK(cudaMemset(y.data(), 0, static_cast<size_t>(y.bytes())));
  VORTEX_CUDA_CHECK(cudaGraphLaunch(graph.get(), stream()));
  EXPECT_EQ(download(y), first);
}

}  // namespace
}  // namespace vortex::cuda
