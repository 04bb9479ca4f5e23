// Times decode attention on the GPU at shapes of real models: us, GB/s and the share of what a copy reaches.
//   attention_cuda_timing
#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <random>
#include <vector>

#include "attention/cuda/attention.h"
#include "device/cuda/stream.h"

namespace vortex::cuda {
namespace {

constexpr int kRepeats = 9;
constexpr int kLayers = 8;  // of a graph

/// Median of us.
double time_us(cudaStream_t stream, const std::function<void()>& work) {
  const Event begin = make_event(true), end = make_event(true);
  std::vector<double> times;
  for (int i = 0; i < kRepeats + 2; ++i) {
    VORTEX_CUDA_CHECK(cudaEventRecord(begin.get(), stream));
    work();
    VORTEX_CUDA_CHECK(cudaEventRecord(end.get(), stream));
    VORTEX_CUDA_CHECK(cudaEventSynchronize(end.get()));
    float ms = 0.0f;
    VORTEX_CUDA_CHECK(cudaEventElapsedTime(&ms, begin.get(), end.get()));
    if (i >= 2) times.push_back(ms * 1e3);
  }
  std::nth_element(times.begin(), times.begin() + kRepeats / 2, times.end());
  return times[kRepeats / 2];
}

double copy_bandwidth(cudaStream_t stream) {
  const int64_t bytes = int64_t{4} << 30;
  DeviceArray<unsigned char> from(bytes), to(bytes);
  const double us = time_us(stream, [&] {
    VORTEX_CUDA_CHECK(
        cudaMemcpyAsync(to.data(), from.data(), static_cast<size_t>(bytes), cudaMemcpyDeviceToDevice, stream));
  });
  return 2.0 * static_cast<double>(bytes) / us * 1e-3;
}

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

struct Case {
  const char* name;
  int batch, length, kv_heads, group, dim;
  bool latent = false;
  int selected = 0;  // pages; 0: dense
  int page_tokens = 16;
  DType dtype = DType::kBF16;
  int element_bytes() const { return dtype == DType::kBF16 ? 2 : 1; }
};

/// A cache of `copies` layers, so that none finds its pages in the L2 cache.
class Bench {
 public:
  Bench(const Case& c, cudaStream_t stream)
      : c_(c), stream_(stream), pages_((c.length + c.page_tokens - 1) / c.page_tokens) {
    const int64_t slabs = int64_t{c.batch} * pages_;
    layer_bytes_ = slabs * c.kv_heads * c.page_tokens * c.dim * c.element_bytes();
    copies_ = static_cast<int>(std::clamp<int64_t>((int64_t{1} << 30) / layer_bytes_, 1, 8));
    k_ = noise(copies_ * layer_bytes_ / 2);
    if (!c.latent) v_ = noise(copies_ * layer_bytes_ / 2);
    std::vector<int32_t> tables(static_cast<size_t>(slabs));
    std::iota(tables.begin(), tables.end(), 0);
    std::shuffle(tables.begin(), tables.end(), std::mt19937(2));
    const auto each = [&](int value) { return upload(std::vector<int32_t>(static_cast<size_t>(c.batch), value)); };
    tables_ = upload(tables);
    tokens_ = each(c.length);
    pages_a_sequence_ = each(pages_);
    selected_ = each(c.selected > 0 ? c.selected : pages_);
    last_ = each(c.length - (pages_ - 1) * c.page_tokens);
    step_ = {tables_.data(),
             pages_,
             tokens_.data(),
             pages_a_sequence_.data(),
             selected_.data(),
             last_.data(),
             c.batch,
             c.kv_heads,
             c.page_tokens,
             1,
             1,
             1};
    int multiprocessors = 0;
    VORTEX_CUDA_CHECK(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0));
    scratch_ = std::make_unique<AttentionScratch>(AttentionScratch::Limits{.sequences = c.batch,
                                                                           .max_length = c.length,
                                                                           .kv_heads = c.kv_heads,
                                                                           .group = c.group,
                                                                           .page_tokens = c.page_tokens,
                                                                           .value_dim = value_dim(),
                                                                           .sparse = c.selected > 0,
                                                                           .multiprocessors = multiprocessors});
    q_ = noise(int64_t{c.batch} * c.kv_heads * c.group * c.dim);
    out_ = DeviceArray<__nv_bfloat16>(int64_t{c.batch} * c.kv_heads * c.group * value_dim());
  }

  int value_dim() const { return c_.latent ? 512 : c_.dim; }

  void run(double copy) {
    const double plan = time_us(stream_, [&] { scratch_->plan_step(step_, stream_); });
    if (c_.selected > 0) choose_pages();
    const ListView list = c_.selected > 0 ? scratch_->lists().selected : scratch_->lists().all;
    const Graph graph = capture(stream_, [&] {
      for (int i = 0; i < kLayers; ++i)
        scratch_->decode(layer(i % copies_), step_, list, q_.data(), out_.data(), stream_);
    });
    const double us = time_us(stream_, [&] { VORTEX_CUDA_CHECK(cudaGraphLaunch(graph.get(), stream_)); }) / kLayers;
    const double tokens = c_.selected > 0 ? c_.selected * c_.page_tokens : c_.length;
    const double items = tokens * c_.batch * c_.kv_heads;
    const double gb = items * c_.dim * c_.element_bytes() * (c_.latent ? 1 : 2) / us * 1e-3;
    const double tflops = items * c_.group * (c_.dim + value_dim()) * 2.0 / us * 1e-6;
    fmt::print("{:34} {:9.1f} us {:7.0f} GB/s {:5.1f} % of copy {:6.1f} TFLOP/s  plan {:5.1f} us\n", c_.name, us, gb,
               100.0 * gb / copy, tflops, plan);
  }

 private:
  AttentionLayer layer(int copy) const {
    const int64_t page_bytes = int64_t{c_.page_tokens} * c_.dim * c_.element_bytes();
    auto* k = reinterpret_cast<unsigned char*>(k_.data()) + copy * layer_bytes_;
    auto* v = c_.latent ? nullptr : reinterpret_cast<unsigned char*>(v_.data()) + copy * layer_bytes_;
    return {.k = {k, page_bytes},
            .v = {v, page_bytes},
            .kv_dtype = c_.dtype,
            .head_dim = c_.dim,
            .value_dim = value_dim(),
            .latent = c_.latent,
            .group = c_.group,
            .scale = 0.1f};
  }

  /// Any pages will do: those that all rows' lists have at random places.
  void choose_pages() {
    std::mt19937 generator(3);
    const ListView list = scratch_->lists().selected;
    std::vector<int32_t> ids(static_cast<size_t>(c_.selected));
    for (int r = 0; r < c_.batch * c_.kv_heads; ++r) {
      for (auto& id : ids)
        id = static_cast<int32_t>(generator() % static_cast<unsigned>(c_.batch * c_.kv_heads * pages_));
      VORTEX_CUDA_CHECK(
          cudaMemcpy(list.pages + int64_t{r} * list.stride, ids.data(), ids.size() * 4, cudaMemcpyHostToDevice));
    }
  }

  Case c_;
  cudaStream_t stream_;
  int pages_, copies_ = 1;
  int64_t layer_bytes_ = 0;
  DeviceArray<__nv_bfloat16> k_, v_, q_, out_;
  DeviceArray<int32_t> tables_, tokens_, pages_a_sequence_, selected_, last_;
  StepView step_;
  std::unique_ptr<AttentionScratch> scratch_;
};

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
      time_us(stream, [&] { prefill(layer, step, slices.data(), 1, length, q.data(), out.data(), stream); });
  const double flops = 0.5 * length * length * kv_heads * group * 2.0 * (dim + value_dim);
  fmt::print("{:34} {:9.1f} us {:6.1f} TFLOP/s\n", name, us, flops / us * 1e-6);
}

int run() {
  const Stream stream = make_stream();
  const double copy = copy_bandwidth(stream.get());
  fmt::print("copy {:.0f} GB/s\n", copy);
  for (const Case& c :
       {Case{"Qwen3-1.7B, 64 x 16K, dense", 64, 16384, 8, 2, 128},
        Case{"Qwen3-1.7B, 64 x 16K, 31 pages", 64, 16384, 8, 2, 128, false, 31},
        Case{"Qwen3-1.7B, 64 x 16K, 94 pages", 64, 16384, 8, 2, 128, false, 94},
        Case{"Qwen3-1.7B, 64 x 16K, dense, fp8", 64, 16384, 8, 2, 128, false, 0, 16, DType::kF8E4M3},
        Case{"Qwen3-8B, 1 x 32K, dense", 1, 32768, 8, 4, 128},
        Case{"Qwen3-8B, 1 x 32K, 31 pages", 1, 32768, 8, 4, 128, false, 31},
        Case{"group 16, 64 x 4K, dense", 64, 4096, 8, 16, 128}, Case{"dim 64, 64 x 8K, dense", 64, 8192, 8, 8, 64},
        Case{"MLA 20 heads, 64 x 16K, dense", 64, 16384, 1, 20, 576, true},
        Case{"MLA 20 heads, 32 x 32K, 31 pages", 32, 32768, 1, 20, 576, true, 31},
        Case{"MLA 16 heads, 64 x 16K, dense", 64, 16384, 1, 16, 576, true},
        Case{"MLA 128 heads, 64 x 16K, dense", 64, 16384, 1, 128, 576, true}})
    Bench(c, stream.get()).run(copy);
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
