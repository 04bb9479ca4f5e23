// One layer of a mixture of experts with random weights: the whole block, its experts' products in two calls, and the
// same products one expert at a time, which must give the same bits. GB/s counts the stored bytes of the experts that
// have tokens (and, for the block, of router and shared experts); every run has other tokens, so other experts.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <numeric>
#include <random>

#include "base/worker_pool.h"
#include "bench/roofline/roofline.h"
#include "kernels/cpu/cpu_dense_ops.h"
#include "kernels/testing/random_weights.h"
#include "model/moe_feed_forward.h"

namespace vortex::model {
namespace {

using kernels::DenseOps;
using kernels::Product;
using kernels::ProductGroup;
using kernels::testing::random_activations;
using kernels::testing::random_matrix;
using kernels::testing::RandomMatrix;

constexpr int kBatches = 8;  // of different tokens, in turn

struct LayerShape {
  const char* name;
  int hidden, inner, experts, per_token, shared;
};

/// Experts share their source bytes; prepared, each has its own. Blocks that do not fit a row become q8_0.
class Sources {
 public:
  explicit Sources(DType dtype) : dtype_(dtype) {}

  WeightMap map() {
    return WeightMap([this](std::string_view name, const Shape& shape) -> Result<TensorView> {
      const bool router = name.find("gate.weight") != name.npos && name.find("experts") == name.npos;
      const int64_t rows = shape[0], cols = shape.rank() == 2 ? shape[1] : 1;
      DType dtype = router ? DType::kF32 : dtype_;
      if (cols % dtype_info(dtype).block_elements != 0) dtype = DType::kQ8_0;
      const auto [it, made] = matrices_.try_emplace({rows, cols});
      if (made) it->second = random_matrix(dtype, rows, cols, static_cast<uint32_t>(matrices_.size()));
      TensorView view = it->second.view;
      view.data = it->second.bytes.data();
      view.shape = shape;
      return view;
    });
  }

 private:
  DType dtype_;
  std::map<std::pair<int64_t, int64_t>, RandomMatrix> matrices_;
};

int64_t stored_bytes(const kernels::Matrix& matrix) { return matrix.source().bytes(); }
int64_t stored_bytes(const Expert& expert) {
  return stored_bytes(*expert.gate) + stored_bytes(*expert.up) + stored_bytes(*expert.down);
}

/// The experts of a layer and the rows that `tokens` tokens make, for each of the batches.
class Products {
 public:
  Products(DenseOps* ops, const LayerShape& shape, std::vector<Expert> experts, int64_t tokens)
      : ops_(ops), hidden_(shape.hidden), inner_(shape.inner), experts_(std::move(experts)) {
    const int64_t rows = tokens * shape.per_token;
    x_ = random_activations(rows * hidden_, 1);
    gates_.resize(static_cast<size_t>(rows * inner_));
    ups_.resize(gates_.size());
    outs_.resize(x_.size());
    std::mt19937 random(3);
    for (ExpertRows& batch : batches_)
      batch.assign(random_choice(shape, tokens, &random), shape.per_token, shape.experts);
  }

  void run(int batch, bool together) {
    const ExpertRows& rows = batches_[batch];
    multiply(rows, x_.data(), hidden_, together, [&](const Expert& expert, int64_t first) {
      return std::array{Product{expert.gate.get(), gates_.data() + first * inner_, inner_},
                        Product{expert.up.get(), ups_.data() + first * inner_, inner_}};
    });
    ops_->gate_mul(kernels::Gating::kSilu, gates_.data(), ups_.data(), static_cast<int64_t>(gates_.size()),
                   gates_.data());
    multiply(rows, gates_.data(), inner_, together, [&](const Expert& expert, int64_t first) {
      return std::array{Product{expert.down.get(), outs_.data() + first * hidden_, hidden_}};
    });
  }

  /// Mean of the batches.
  double bytes() const {
    int64_t sum = 0;
    for (const ExpertRows& batch : batches_)
      for (const ExpertRows::Run& run : batch.runs()) sum += stored_bytes(experts_[static_cast<size_t>(run.expert)]);
    return static_cast<double>(sum) / kBatches;
  }
  const std::vector<float>& outs() const { return outs_; }

 private:
  static std::vector<int32_t> random_choice(const LayerShape& shape, int64_t tokens, std::mt19937* random) {
    std::vector<int32_t> all(static_cast<size_t>(shape.experts)), chosen;
    std::iota(all.begin(), all.end(), 0);
    for (int64_t t = 0; t < tokens; ++t)
      std::sample(all.begin(), all.end(), std::back_inserter(chosen), shape.per_token, *random);
    return chosen;
  }

  template <class Make>
  void multiply(const ExpertRows& rows, const float* x, int64_t cols, bool together, Make products_of) {
    std::vector<decltype(products_of(experts_[0], 0))> products;
    std::vector<ProductGroup> groups;
    for (const ExpertRows::Run& run : rows.runs())
      products.push_back(products_of(experts_[static_cast<size_t>(run.expert)], run.begin));
    for (const ExpertRows::Run& run : rows.runs())
      groups.push_back({x + run.begin * cols, cols, run.count(), products[groups.size()]});
    if (together) return ops_->matmul(groups);
    for (const ProductGroup& group : groups) ops_->matmul({&group, 1});
  }

  DenseOps* ops_;
  int64_t hidden_, inner_;
  std::vector<Expert> experts_;
  ExpertRows batches_[kBatches];
  std::vector<float> x_, gates_, ups_, outs_;
};

/// A layer as a model loads it.
class Layer {
 public:
  Layer(const LayerShape& shape, DType dtype) : shape_(shape), sources_(dtype), weights_(sources_.map()) {
    config_.hidden_size = shape.hidden;
    config_.moe.experts = shape.experts;
    config_.moe.experts_per_token = shape.per_token;
    config_.moe.intermediate_size = shape.inner;
    config_.moe.shared_experts = shape.shared;
    context_ = {&config_, &weights_, {ops_.get(), nullptr}};
  }

  const LayerShape& shape() const { return shape_; }
  DenseOps* ops() { return ops_.get(); }
  std::vector<Expert> experts() { return load_experts(context_, "mlp.").value(); }
  std::unique_ptr<FeedForward> block() { return MoeFeedForward::load(context_, "mlp.").value(); }

 private:
  LayerShape shape_;
  std::unique_ptr<DenseOps> ops_ = kernels::make_cpu_dense_ops(&bench::shared_pool());
  Sources sources_;
  WeightMap weights_;
  ModelConfig config_;
  LoadContext context_;
};

/// Times body(batch) over the batches in turn; the figures are those of the fastest round, a batch.
template <class Body>
double best_seconds(benchmark::State& state, Body body) {
  double best = 1e30;
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    for (int batch = 0; batch < kBatches; ++batch) body(batch);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return best / kBatches;
}

void report(benchmark::State& state, const LayerShape& shape, double seconds, double bytes, int64_t tokens,
            int networks) {
  const double operations = 6.0 * shape.hidden * shape.inner * networks * static_cast<double>(tokens);
  state.counters["best_us"] = seconds * 1e6;
  state.counters["GB/s"] = bytes / seconds * 1e-9;
  state.counters["of_read"] = bytes / seconds * 1e-9 / bench::shared_roofline().read_gb_per_s;
  state.counters["GFLOP/s"] = operations / seconds * 1e-9;
}

void time_products(benchmark::State& state, const LayerShape& shape, DType dtype, int64_t tokens, bool together) {
  Layer layer(shape, dtype);
  Products products(layer.ops(), shape, layer.experts(), tokens);
  products.run(0, true);
  const std::vector<float> want = products.outs();
  products.run(0, false);
  if (want != products.outs()) return state.SkipWithError("the bits depend on the grouping");
  const double seconds = best_seconds(state, [&](int batch) { products.run(batch, together); });
  report(state, shape, seconds, products.bytes(), tokens, shape.per_token);
}

void time_block(benchmark::State& state, const LayerShape& shape, DType dtype, int64_t tokens) {
  Layer layer(shape, dtype);
  const auto block = layer.block();
  Workspace workspace;
  const int64_t n = tokens * shape.hidden;
  const std::vector<float> h = random_activations(kBatches * n, 1);
  std::vector<float> x(static_cast<size_t>(n));
  const double seconds =
      best_seconds(state, [&](int batch) { block->forward(&workspace, h.data() + batch * n, tokens, x.data()); });
  report(state, shape, seconds, 0.0, tokens, shape.per_token + shape.shared);
}

void add(const LayerShape& shape, DType dtype, int64_t tokens) {
  const auto name = [&](const char* what) {
    return fmt::format("{}/{}/{}/tokens:{}", what, shape.name, dtype_info(dtype).name, tokens);
  };
  const auto with_units = [](benchmark::internal::Benchmark* b) { b->UseRealTime()->Unit(benchmark::kMillisecond); };
  for (const bool together : {false, true})
    with_units(benchmark::RegisterBenchmark(
        name(together ? "grouped" : "single").c_str(),
        [=](benchmark::State& state) { time_products(state, shape, dtype, tokens, together); }));
  with_units(benchmark::RegisterBenchmark(name("block").c_str(),
                                          [=](benchmark::State& state) { time_block(state, shape, dtype, tokens); }));
}

void add_all() {
  const LayerShape deepseek{"deepseek-v2-lite", 2048, 1408, 64, 6, 2}, qwen{"qwen3-30b-a3b", 2048, 768, 128, 8, 0};
  for (const LayerShape& shape : {deepseek, qwen})
    for (const DType dtype : {DType::kQ4_K, DType::kQ8_0, DType::kBF16})
      for (const int64_t tokens : {1, 4, 16, 512}) add(shape, dtype, tokens);
}

}  // namespace
}  // namespace vortex::model

int main(int argc, char** argv) {
  vortex::model::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
