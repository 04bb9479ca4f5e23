// Times of the kernels at the sizes of a decode step, one line each: microseconds and, where memory bounds it, the
// bandwidth. Launches are captured into a graph, as a step is, and take turns over copies larger than the cache.
#include <fmt/core.h>

#include <algorithm>
#include <random>
#include <vector>

#include "device/cuda/memory.h"
#include "device/cuda/stream.h"
#include "device/cuda/timing.h"
#include "kernels/cuda/draw.h"
#include "kernels/cuda/gemm.h"
#include "kernels/cuda/moe.h"
#include "kernels/cuda/moe_parts.h"

namespace vortex::cuda {
namespace {

constexpr int kLaunches = 24;
constexpr int64_t kCacheBytes = int64_t{192} << 20;

/// Random numbers, a block of them again and again.
template <class T>
DeviceArray<T> random_array(int64_t size, float spread) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0.0f, spread);
  std::vector<T> block(static_cast<size_t>(std::min<int64_t>(size, 999983)));
  for (T& value : block) value = static_cast<T>(normal(generator));
  DeviceArray<T> out(size);
  for (int64_t at = 0; at < size; at += static_cast<int64_t>(block.size())) {
    const auto count = static_cast<size_t>(std::min(static_cast<int64_t>(block.size()), size - at));
    VORTEX_CUDA_CHECK(cudaMemcpy(out.data() + at, block.data(), count * sizeof(T), cudaMemcpyHostToDevice));
  }
  return out;
}

/// How often `bytes` must be there for the cache not to help.
int64_t copies(int64_t bytes) { return std::clamp<int64_t>((kCacheBytes + bytes - 1) / bytes, 1, kLaunches); }

/// Prints the median time of work(turn); `bytes`: what it must read and write, 0: not told.
template <class Work>
void time(const std::string& name, int64_t bytes, Work work) {
  const Stream stream = make_stream();
  work(0, stream.get());
  VORTEX_CUDA_CHECK(cudaStreamSynchronize(stream.get()));
  const Graph graph = capture(stream.get(), [&] {
    for (int turn = 0; turn < kLaunches; ++turn) work(turn, stream.get());
  });
  const double median =
      median_us(stream.get(), [&] { VORTEX_CUDA_CHECK(cudaGraphLaunch(graph.get(), stream.get())); }) / kLaunches;
  if (bytes > 0)
    fmt::print("{:44} {:9.2f} us {:8.0f} GB/s\n", name, median, static_cast<double>(bytes) / median / 1e3);
  else
    fmt::print("{:44} {:9.2f} us\n", name, median);
}

void time_gemm(int64_t tokens, int64_t rows, int64_t cols, bool y_float) {
  const int64_t count = copies(rows * cols * 2);
  const auto weight = random_array<bf16>(count * rows * cols, 0.05f), x = random_array<bf16>(tokens * cols, 1.0f);
  const DeviceArray<float> y(tokens * rows);
  Gemm gemm;
  GemmCall call{.x = x.data(), .y = y.data(), .y_float = y_float, .tokens = tokens, .rows = rows, .cols = cols};
  time(fmt::format("gemm {} x [{}, {}]{}", tokens, rows, cols, y_float ? " float" : ""), rows * cols * 2,
       [&](int turn, cudaStream_t stream) {
         call.weight = weight.data() + turn % count * rows * cols;
         gemm.run(call, stream);
       });
}

void time_norms(int64_t tokens, int64_t cols) {
  const auto x = random_array<float>(tokens * cols, 1.0f), weight = random_array<float>(cols, 1.0f);
  const DeviceArray<bf16> out(tokens * cols);
  time(fmt::format("rms_norm [{}, {}]", tokens, cols), tokens * cols * 6, [&](int, cudaStream_t stream) {
    rms_norm(x.data(), cols, weight.data(), 1e-6f, tokens, cols, out.data(), cols, stream);
  });
  const auto gate_up = random_array<bf16>(tokens * 2 * cols, 1.0f);
  time(fmt::format("gate_mul [{}, 2 * {}]", tokens, cols), tokens * cols * 6, [&](int, cudaStream_t stream) {
    gate_mul(kernels::Gating::kSilu, gate_up.data(), tokens, cols, out.data(), stream);
  });
}

/// Every token is a sequence of its own.
void time_store(int32_t tokens, int heads, int kv_heads) {
  constexpr int kDim = 128, kPageTokens = 16, kPosition = 1000;
  std::vector<int32_t> tables, sequence, position;
  for (int32_t t = 0; t < tokens; ++t) {
    for (int32_t page = 0; page < 64; ++page) tables.push_back(t * 64 + page);
    sequence.push_back(t), position.push_back(kPosition);
  }
  const auto tables_device = to_device(std::span<const int32_t>(tables)),
             sequence_device = to_device(std::span<const int32_t>(sequence)),
             position_device = to_device(std::span<const int32_t>(position));
  const int width = (heads + 2 * kv_heads) * kDim;
  const auto qkv = random_array<bf16>(int64_t{tokens} * width, 1.0f);
  const auto norm = random_array<float>(kDim, 1.0f), rope = random_array<float>((kPosition + 1) * kDim, 1.0f);
  const int64_t page_bytes = kPageTokens * kDim * 2;
  const DeviceArray<unsigned char> k(int64_t{tokens} * 64 * kv_heads * page_bytes), v(k.size());
  const DeviceArray<bf16> q(int64_t{tokens} * heads * kDim);
  const QkvShape shape{.heads = heads,
                       .kv_heads = kv_heads,
                       .head_dim = kDim,
                       .rope_pairs = kDim / 2,
                       .rope = rope.data(),
                       .q_norm = norm.data(),
                       .k_norm = norm.data(),
                       .eps = 1e-6f};
  StepView step;
  step.tables = tables_device.data(), step.table_stride = 64, step.kv_heads = kv_heads, step.page_tokens = kPageTokens;
  const TokenView view{sequence_device.data(), position_device.data(), tokens};
  time(fmt::format("norm_rope_store {} tokens, {} + 2 * {} heads", tokens, heads, kv_heads),
       int64_t{tokens} * width * 4, [&](int, cudaStream_t stream) {
         norm_rope_store(qkv.data(), shape, step, view, {k.data(), page_bytes}, {v.data(), page_bytes}, DType::kBF16,
                         q.data(), stream);
       });
}

void time_moe(int64_t tokens, int experts, int per_token, int64_t hidden, int64_t inner) {
  const int64_t expert = 3 * hidden * inner, count = copies(experts * expert * 2);
  const auto gate_up = random_array<bf16>(count * experts * 2 * hidden * inner, 0.05f),
             down = random_array<bf16>(count * experts * hidden * inner, 0.05f),
             x = random_array<bf16>(tokens * hidden, 1.0f);
  const auto router = random_array<float>(experts * hidden, 0.05f),
             x_float = random_array<float>(tokens * hidden, 1.0f);
  const DeviceArray<float> out(tokens * hidden);
  MoeScratch scratch(tokens, experts, per_token, hidden, inner);
  const RouterShape shape{.experts = experts, .per_token = per_token, .normalize = true};
  const int64_t read = std::min<int64_t>(experts, tokens * per_token) * expert * 2;
  time(fmt::format("moe {} tokens, {} of {}, {} x {}", tokens, per_token, experts, hidden, inner), read,
       [&](int turn, cudaStream_t stream) {
         const int64_t copy = turn % count * experts;
         const ExpertWeights weights{gate_up.data() + copy * 2 * hidden * inner,
                                     down.data() + copy * hidden * inner,
                                     nullptr,
                                     nullptr,
                                     hidden,
                                     inner};
         scratch.run(shape, router.data(), weights, x.data(), x_float.data(), tokens, out.data(), stream);
       });
}

/// The parts before and after the experts' products.
void time_routing(int64_t tokens, int experts, int per_token, int64_t hidden) {
  const int64_t pairs = tokens * per_token;
  const auto router = random_array<float>(experts * hidden, 0.05f), x = random_array<float>(tokens * hidden, 1.0f);
  const auto down = random_array<bf16>(pairs * hidden, 1.0f);
  const DeviceArray<float> logits(tokens * experts), weights(pairs), out(tokens * hidden);
  const DeviceArray<int32_t> chosen(pairs), offsets(experts + 1), order(pairs), places(pairs);
  const Routing routing{chosen.data(), weights.data(), offsets.data(), order.data(), places.data()};
  const RouterShape shape{.experts = experts, .per_token = per_token, .normalize = true};
  const std::string sizes = fmt::format("{} tokens, {} of {}", tokens, per_token, experts);
  time("router_logits " + sizes, 0, [&](int, cudaStream_t stream) {
    router_logits(router.data(), x.data(), nullptr, tokens, experts, hidden, logits.data(), stream);
  });
  time("choose_experts " + sizes, 0,
       [&](int, cudaStream_t stream) { choose_experts(shape, logits.data(), tokens, routing, stream); });
  time("sort_by_expert " + sizes, 0,
       [&](int, cudaStream_t stream) { sort_by_expert(routing, pairs, experts, stream); });
  time("combine_experts " + sizes, 0, [&](int, cudaStream_t stream) {
    combine_experts(routing, per_token, tokens, hidden, down.data(), out.data(), stream);
  });
}

void time_draw(int rows, int vocab, const DrawRow& row, const char* rule) {
  const auto logits = random_array<float>(int64_t{rows} * vocab, 3.0f);
  std::vector<DrawRow> draws(static_cast<size_t>(rows), row);
  for (size_t i = 0; i < draws.size(); ++i) draws[i].uniform = static_cast<double>(i) / rows;
  const auto draws_device = to_device(std::span<const DrawRow>(draws));
  const DeviceArray<int32_t> tokens(rows);
  DrawScratch scratch(rows, vocab);
  time(fmt::format("draw {} x {}, {}", rows, vocab, rule), int64_t{rows} * vocab * 4, [&](int, cudaStream_t stream) {
    scratch.run(logits.data(), draws_device.data(), rows, vocab, tokens.data(), stream);
  });
}

void time_all() {
  for (const int64_t tokens : {1, 64}) {
    time_gemm(tokens, 2 * 6144, 2048, false);
    time_gemm(tokens, 2048, 6144, true);
    time_gemm(tokens, 4096, 2048, false);
    time_gemm(tokens, 151936, 2048, true);
  }
  time_gemm(8192, 2 * 6144, 2048, false);
  time_norms(64, 2048);
  time_norms(8192, 2048);
  time_store(64, 16, 8);
  time_store(8192, 16, 8);
  time_moe(1, 128, 8, 2048, 768);
  time_moe(64, 128, 8, 2048, 768);
  time_moe(64, 64, 8, 2048, 1024);
  time_moe(64, 64, 4, 2048, 1408);
  time_moe(8192, 128, 8, 2048, 768);
  for (const int64_t tokens : {1, 64, 8192}) time_routing(tokens, 128, 8, 2048);
  time_draw(1, 151936, {}, "largest");
  time_draw(64, 151936, {}, "largest");
  time_draw(64, 151936, {.temperature = 1.0f}, "temperature");
  time_draw(64, 151936, {.temperature = 0.7f, .top_k = 20, .top_p = 0.9f}, "top-k, top-p");
}

}  // namespace
}  // namespace vortex::cuda

int main() {
  try {
    vortex::cuda::time_all();
  } catch (const vortex::cuda::Failure& failure) {
    fmt::print(stderr, "{}\n", failure.what());
    return 1;
  }
}
