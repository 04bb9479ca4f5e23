// Times attention of prompts on the GPU at shapes of real models. Decode: vortex bench attention.
//   prefill_cuda_timing
#include <fmt/core.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "attention/cuda/attention.h"
#include "device/cuda/stream.h"
#include "device/cuda/timing.h"

namespace vortex::cuda {
namespace {

DeviceArray<__nv_bfloat16> noise(int64_t size) {
  std::vector<__nv_bfloat16> block(1 << 20);
  std::mt19937 generator(1);
  std::normal_distribution<float> normal;
  for (auto& x : block) x = __float2bfloat16(normal(generator));
  DeviceArray<__nv_bfloat16> out(size);
  for (int64_t at = 0; at < size; at += static_cast<int64_t>(block.size())) {
    const auto count = static_cast<size_t>(std::min(size - at, static_cast<int64_t>(block.size())));
    VORTEX_CUDA_CHECK(cudaMemcpy(out.data() + at, block.data(), count * 2, cudaMemcpyHostToDevice));
  }
  return out;
}

template <class T>
DeviceArray<T> upload(const std::vector<T>& x) {
  return to_device(std::span<const T>(x));
}

/// A prompt of `length` tokens from its start.
void time_prefill(const char* name, int length, int kv_heads, int group, int dim, bool latent, cudaStream_t stream) {
  const int pages = length / 16, value_dim = latent ? 512 : dim;
  const auto k = noise(int64_t{length} * kv_heads * dim), v = noise(int64_t{length} * kv_heads * dim);
  const auto q = noise(int64_t{length} * kv_heads * group * dim);
  DeviceArray<__nv_bfloat16> out(int64_t{length} * kv_heads * group * value_dim);
  std::vector<int32_t> table(static_cast<size_t>(pages));
  std::iota(table.begin(), table.end(), 0);
  const auto tables = upload(table);
  const auto slices = upload(std::vector<PrefillSlice>{{0, 0, length, 0}});
  StepView step;
  step.tables = tables.data();
  step.table_stride = pages;
  step.kv_heads = kv_heads;
  step.page_tokens = 16;
  const int64_t page_bytes = int64_t{16} * dim * 2;
  const AttentionLayer layer{.k = {reinterpret_cast<unsigned char*>(k.data()), page_bytes},
                             .v = {reinterpret_cast<unsigned char*>(v.data()), page_bytes},
                             .head_dim = dim,
                             .value_dim = value_dim,
                             .latent = latent,
                             .group = group,
                             .scale = 0.1f};
  const double us =
      median_us(stream, [&] { prefill(layer, step, slices.data(), 1, length, q.data(), out.data(), stream); });
  const double flops = 0.5 * length * length * kv_heads * group * 2.0 * (dim + value_dim);
  fmt::print("{:34} {:9.1f} us {:6.1f} TFLOP/s\n", name, us, flops / us * 1e-6);
}

int run() {
  const Stream stream = make_stream();
  time_prefill("prefill Qwen3-1.7B, 8K", 8192, 8, 2, 128, false, stream.get());
  time_prefill("prefill dim 64 group 8, 8K", 8192, 8, 8, 64, false, stream.get());
  time_prefill("prefill MLA 20 heads, 4K", 4096, 1, 20, 576, true, stream.get());
  return 0;
}

}  // namespace
}  // namespace vortex::cuda

int main() {
  try {
    return vortex::cuda::run();
  } catch (const std::exception& e) {
    fmt::print("failed: {}\n", e.what());
    return 1;
  }
}
