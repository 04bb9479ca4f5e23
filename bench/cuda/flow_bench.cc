// Selection on the GPU: microseconds a layer and the rate at which its metadata is read, one line a flow.
//   flow_bench [flow ...]
#include <cuda_runtime_api.h>
#include <fmt/core.h>

#include <algorithm>
#include <random>

#include "device/cuda/memory.h"
#include "device/cuda/stream.h"
#include "flow/backends/cuda/cuda_flow.h"
#include "flow/flow.h"
#include "flows/registry.h"
#include "tensor/half.h"
#include "vortex/flow.h"

namespace vortex::flow {
namespace {

constexpr double kMemoryRate = 4.3e12;  // bytes a second that an H200 reads

struct Shape {
  int sequences, pages, kv_heads, group, head_dim, selected;
};

/// Scores that lie in a field: what is left is the choice.
struct Stored : Flow {
  Fields create_cache(const PageShape&) override { return {{"score", {1, 1, "float32"}}}; }
  void forward_cache(CacheScope& c) override { c.write("score", mean(mean(c["k"], 1), 2)); }
  Score forward_indexer(const Tensor&, IndexerScope& c) override { return top_k(c.load("score")); }
};

/// Random bf16 numbers, repeated after a few MiB.
cuda::DeviceArray<std::byte> random_numbers(int64_t bytes) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<uint16_t> part(1 << 20);
  for (uint16_t& x : part) x = f32_to_bf16(normal(random));
  cuda::DeviceArray<std::byte> out(bytes);
  for (int64_t at = 0; at < bytes; at += 2 * static_cast<int64_t>(part.size()))
    VORTEX_CUDA_CHECK(cudaMemcpy(out.data() + at, part.data(),
                                 static_cast<size_t>(std::min(bytes - at, 2 * static_cast<int64_t>(part.size()))),
                                 cudaMemcpyHostToDevice));
  return out;
}

/// One step of sequences of equal length, all tokens of all pages stored.
class Bench {
 public:
  Bench(const Shape& shape, CompiledFlow& flow) : shape_(shape), plan_(flow.plan()) {
    const int64_t pages = int64_t{shape.sequences} * shape.pages * shape.kv_heads;
    for (const FieldSpec& field : plan_.fields) {
      memory_.push_back(random_numbers(pages * field.page_bytes()));
      fields_.push_back({memory_.back().data(), field.page_bytes(), field.rows, field.cols, field.dtype});
    }
    queries_ = random_numbers(int64_t{2} * shape.sequences * shape.kv_heads * shape.group * shape.head_dim);
    std::vector<int32_t> table, tokens, counts, selected, sequence, position;
    for (int s = 0; s < shape.sequences; ++s) {
      for (int j = 0; j < shape.pages; ++j) {
        table.push_back(s * shape.pages + j);
        sequence.push_back(s);
        position.push_back(j * 16 + 15);
      }
      tokens.push_back(shape.pages * 16 - 3);
      counts.push_back(shape.pages);
      selected.push_back(plan_.middle_pages() ? *plan_.middle_pages() + 2 : shape.selected);
    }
    for (const auto* values : {&table, &tokens, &counts, &selected, &sequence, &position})
      arrays_.push_back(cuda::to_device(std::span<const int32_t>(*values)));
    list_ = cuda::DeviceArray<int32_t>(int64_t{shape.sequences} * shape.kv_heads * shape.pages);
    list_counts_ = cuda::DeviceArray<int32_t>(int64_t{shape.sequences} * shape.kv_heads);
    nan_ = cuda::to_device(std::span<const int32_t>(std::vector<int32_t>(static_cast<size_t>(shape.sequences), 0)));
  }

  void run(const char* name) {
    CudaFlowLimits limits;
    limits.sequences = shape_.sequences;
    limits.max_pages = shape_.pages;
    limits.kv_heads = shape_.kv_heads;
    auto compiled = CudaFlow::compile(plan_, limits);
    if (!compiled.ok()) return static_cast<void>(fmt::print("{}: {}\n", name, compiled.error().to_string()));
    CudaFlow& flow = **compiled;
    std::vector<void*> pointers;
    const cuda::DeviceArray<std::byte> state(flow.state_bytes() * shape_.sequences);
    if (state.size() > 0) VORTEX_CUDA_CHECK(cudaMemset(state.data(), 0, static_cast<size_t>(state.size())));
    for (int s = 0; s < shape_.sequences; ++s) pointers.push_back(state.data() + s * flow.state_bytes());
    const auto states = cuda::to_device(std::span<void* const>(pointers));
    const cuda::Stream stream = cuda::make_stream();
    const cuda::StepView step = step_view();
    const PageView view{fields_, shape_.kv_heads, 16, 16, 0};
    const cuda::TokenView tokens{arrays_[4].data(), arrays_[5].data(), shape_.sequences * shape_.pages};
    const auto* q = reinterpret_cast<const __nv_bfloat16*>(queries_.data());
    const double update = median(stream.get(), [&] { flow.update(view, step, tokens, stream.get()); });
    const double decode = median(stream.get(), [&] {
      flow.decode(view, step, q, states.data(), {list_.data(), list_counts_.data(), shape_.pages}, nan_.data(),
                  stream.get());
    });
    const double bytes =
        static_cast<double>(plan_.bytes_read_per_page()) * shape_.pages * shape_.sequences * shape_.kv_heads;
    fmt::print(
        "{:34} {:3} x {:6} pages x {} heads: select {:8.1f} us, {:6.1f} MB, {:5.1f} % of the rate; update {:.1f} us\n",
        name, shape_.sequences, shape_.pages, shape_.kv_heads, decode, bytes / 1e6,
        100 * bytes / (decode * 1e-6) / kMemoryRate, update);
    std::fflush(stdout);
  }

 private:
  cuda::StepView step_view() const {
    cuda::StepView step;
    step.tables = arrays_[0].data();
    step.table_stride = shape_.pages;
    step.tokens = arrays_[1].data();
    step.pages = arrays_[2].data();
    step.selected = arrays_[3].data();
    step.decodes = shape_.sequences;
    step.kv_heads = shape_.kv_heads;
    step.page_tokens = 16;
    return step;
  }

  /// Microseconds.
  template <class Work>
  static double median(cudaStream_t stream, Work work) {
    std::vector<float> times;
    const cuda::Event begin = cuda::make_event(true), end = cuda::make_event(true);
    for (int i = 0; i < 13; ++i) {
      VORTEX_CUDA_CHECK(cudaEventRecord(begin.get(), stream));
      work();
      VORTEX_CUDA_CHECK(cudaEventRecord(end.get(), stream));
      VORTEX_CUDA_CHECK(cudaEventSynchronize(end.get()));
      times.push_back(0);
      VORTEX_CUDA_CHECK(cudaEventElapsedTime(&times.back(), begin.get(), end.get()));
    }
    std::sort(times.begin() + 3, times.end());
    return 1000.0 * times[8];
  }

  const Shape shape_;
  const Plan& plan_;
  std::vector<cuda::DeviceArray<std::byte>> memory_;
  std::vector<FieldView> fields_;
  std::vector<cuda::DeviceArray<int32_t>> arrays_;
  cuda::DeviceArray<std::byte> queries_;
  cuda::DeviceArray<int32_t> list_, list_counts_, nan_;
};

void measure(FlowBase& flow, const std::string& name, const Shape& shape, int rank) {
  const GraphShape graph{shape.group, shape.head_dim, 16, rank};
  auto compiled = CompiledFlow::compile(flow, name, graph, {DType::kBF16, BackendKind::kInterpreter}, nullptr);
  if (!compiled.ok()) return static_cast<void>(fmt::print("{}\n", compiled.error().to_string()));
  Bench(shape, **compiled).run(name.c_str());
}

int run(std::vector<std::string> names) {
  Stored stored;
  measure(stored, "top_k_alone", {128, 4096, 8, 1, 8, 31}, 0);
  measure(stored, "top_k_alone", {1, 65536, 1, 1, 8, 2050}, 0);
  if (names.empty())
    names = {"block_sparse_attention",        "gqa_block_sparse_attention",  "gqa_quest_sparse_attention",
             "sketch1_sparse_attention",      "sketch2_sparse_attention",    "lserve_sparse_attention",
             "sketch2_mass_sparse_attention", "rope_aware_block_sparse_mla", "sketch2_mla"};
  for (const std::string& name : names) {
    auto flow = flows::make_flow(name);
    if (!flow.ok()) return fmt::print("{}\n", flow.error().to_string()), 1;
    const bool latent = (*flow)->attention() == AttentionKind::kMla;
    if (latent) measure(**flow, name, {64, 1024, 1, 128, 576, 32}, 512);
    if (!latent) measure(**flow, name, {64, 1024, 8, 2, 128, 32}, 0);
    if (!latent) measure(**flow, name, {1, 8192, 8, 2, 128, 256}, 0);
  }
  return 0;
}

}  // namespace
}  // namespace vortex::flow

int main(int argc, char** argv) {
  try {
    return vortex::flow::run({argv + 1, argv + argc});
  } catch (const vortex::cuda::Failure& failure) {
    fmt::print("{}\n", failure.what());
    return 1;
  }
}
