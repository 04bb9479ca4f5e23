// For tests on a GPU: random data, copies to the device and back, bfloat16 on the host.
#pragma once

#include <cuda_bf16.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <span>
#include <vector>

#include "device/cuda/memory.h"
#include "device/cuda/stream.h"

namespace vortex::cuda::testing {

/// A test of kernels; skipped where there is no GPU.
class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess || count == 0) GTEST_SKIP() << "no GPU";
    stream_ = make_stream();
  }
  cudaStream_t stream() const { return stream_.get(); }

 private:
  Stream stream_;
};

inline std::vector<float> random_floats(int64_t count, unsigned seed, float spread = 1.0f) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<float> out(static_cast<size_t>(count));
  for (float& value : out) value = normal(generator);
  return out;
}

inline std::vector<__nv_bfloat16> to_bf16(const std::vector<float>& values) {
  std::vector<__nv_bfloat16> out;
  out.reserve(values.size());
  for (const float value : values) out.push_back(__float2bfloat16(value));
  return out;
}

inline std::vector<float> to_floats(const std::vector<__nv_bfloat16>& values) {
  std::vector<float> out;
  out.reserve(values.size());
  for (const __nv_bfloat16 value : values) out.push_back(__bfloat162float(value));
  return out;
}

/// Random values that bfloat16 holds exactly.
inline std::vector<float> random_rounded(int64_t count, unsigned seed, float spread = 1.0f) {
  return to_floats(to_bf16(random_floats(count, seed, spread)));
}

template <class T>
DeviceArray<T> upload(const std::vector<T>& values) {
  return to_device(std::span<const T>(values));
}

inline DeviceArray<__nv_bfloat16> upload_bf16(const std::vector<float>& values) { return upload(to_bf16(values)); }

/// What the device holds after all that was queued.
template <class T>
std::vector<T> download(const DeviceArray<T>& array) {
  std::vector<T> out(static_cast<size_t>(array.size()));
  VORTEX_CUDA_CHECK(cudaDeviceSynchronize());
  VORTEX_CUDA_CHECK(cudaMemcpy(out.data(), array.data(), static_cast<size_t>(array.bytes()), cudaMemcpyDeviceToHost));
  return out;
}

/// |got - want| <= absolute + relative * |want| everywhere; says where it is worst.
inline void expect_close(const std::vector<float>& got, const std::vector<float>& want, float absolute,
                         float relative) {
  ASSERT_EQ(got.size(), want.size());
  size_t worst = 0, bad = 0;
  float excess = -1.0f;
  for (size_t i = 0; i < got.size(); ++i) {
    const float over = std::fabs(got[i] - want[i]) - absolute - relative * std::fabs(want[i]);
    const bool wrong = !(over <= 0.0f);
    bad += wrong;
    if (wrong && !(over <= excess)) excess = over, worst = i;
  }
  EXPECT_EQ(bad, 0u) << bad << " of " << got.size() << " differ; at " << worst << ": " << got[worst] << ", not "
                     << want[worst];
}

}  // namespace vortex::cuda::testing
