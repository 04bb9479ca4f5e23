// Against the reference operations of the CPU.
#include "kernels/cuda/dense.h"

#include "kernels/cuda/cuda_testing.h"

namespace vortex::cuda {
namespace {

using namespace testing;
using DenseTest = GpuTest;

std::vector<float> norm_rows(const std::vector<float>& x, const std::vector<float>& weight, float eps) {
  const auto cols = static_cast<int64_t>(weight.size()), rows = static_cast<int64_t>(x.size()) / cols;
  std::vector<float> out(x.size());
  kernels::make_ref_dense_ops()->rms_norm(x.data(), cols, weight.data(), eps, rows, cols, out.data());
  return out;
}

TEST_F(DenseTest, NormsRows) {
  for (const int64_t cols : {64, 100, 101, 2048, 2880, 7168, 16384}) {
    SCOPED_TRACE(cols);
    const auto x = random_floats(3 * cols, 1, 2.0f), weight = random_floats(cols, 2);
    const auto x_device = upload(x), weight_device = upload(weight);
    const DeviceArray<bf16> out(3 * cols);
    rms_norm(x_device.data(), cols, weight_device.data(), 1e-5f, 3, cols, out.data(), cols, stream());
    expect_close(to_floats(download(out)), norm_rows(x, weight, 1e-5f), 1e-4f, 0.005f);
  }
}

TEST_F(DenseTest, NormsPickedRows) {
  const auto x = random_floats(6 * 256, 1), weight = random_floats(256, 2);
  const std::vector<int32_t> picks{5, 0, 3};
  const auto x_device = upload(x), weight_device = upload(weight);
  const auto picks_device = upload(picks);
  const DeviceArray<bf16> out(3 * 256);
  rms_norm_rows(x_device.data(), picks_device.data(), weight_device.data(), 1e-6f, 3, 256, out.data(), stream());
  std::vector<float> rows;
  for (const int32_t pick : picks) rows.insert(rows.end(), x.begin() + pick * 256, x.begin() + (pick + 1) * 256);
  expect_close(to_floats(download(out)), norm_rows(rows, weight, 1e-6f), 1e-4f, 0.005f);
}

TEST_F(DenseTest, AddsNormedRows) {
  const auto x = random_floats(4 * 640, 1), weight = random_floats(640, 2), before = random_floats(4 * 640, 3);
  const auto x_device = upload(x), weight_device = upload(weight), hidden = upload(before);
  add_rms_norm(x_device.data(), weight_device.data(), 1e-6f, 4, 640, hidden.data(), stream());
  std::vector<float> want = norm_rows(x, weight, 1e-6f);
  for (size_t i = 0; i < want.size(); ++i) want[i] += before[i];
  expect_close(download(hidden), want, 1e-5f, 1e-5f);
}

TEST_F(DenseTest, EmbedsGivenAndDrawnTokens) {
  for (const int64_t hidden : {int64_t{32}, int64_t{33}}) {
    const auto table = random_rounded(10 * hidden, 1);
    const auto table_device = upload_bf16(table);
    const auto ids = upload(std::vector<int32_t>{3, 9, 1, 4}), draw_of = upload(std::vector<int32_t>{-1, 1, 0, -1}),
               drawn = upload(std::vector<int32_t>{7, -2});
    const DeviceArray<float> out(4 * hidden);
    embed(table_device.data(), ids.data(), draw_of.data(), drawn.data(), 4, hidden, 2.0f, out.data(), stream());
    std::vector<float> want;
    for (const int64_t id : {3, 0, 7, 4})
      for (int64_t c = 0; c < hidden; ++c) want.push_back(2.0f * table[static_cast<size_t>(id * hidden + c)]);
    EXPECT_EQ(download(out), want);
  }
}

TEST_F(DenseTest, JoinsGates) {
  using kernels::Gating;
  for (const Gating gating : {Gating::kSilu, Gating::kGeluTanh, Gating::kClampedSwiglu}) {
    for (const int64_t inner : {int64_t{40}, int64_t{4096}, int64_t{37}}) {
      const auto gate_up = random_rounded(3 * 2 * inner, 1, 4.0f);
      const auto device = upload_bf16(gate_up);
      const DeviceArray<bf16> out(3 * inner);
      gate_mul(gating, device.data(), 3, inner, out.data(), stream());
      std::vector<float> want(static_cast<size_t>(3 * inner));
      for (int64_t t = 0; t < 3; ++t)
        kernels::make_ref_dense_ops()->gate_mul(gating, gate_up.data() + t * 2 * inner,
                                                gate_up.data() + t * 2 * inner + inner, inner, want.data() + t * inner);
      expect_close(to_floats(download(out)), want, 1e-5f, 0.005f);
    }
  }
}

}  // namespace
}  // namespace vortex::cuda
