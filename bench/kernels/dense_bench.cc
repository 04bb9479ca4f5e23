// Products of real layers: each is checked against the reference, then timed. GB/s counts the weights' bytes as
// stored in their file; rates are of the fastest iteration; the shares are of what this machine was measured to do at
// most in the same run.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cmath>

#include "base/worker_pool.h"
#include "bench/roofline/roofline.h"
#include "kernels/cpu/cpu_dense_ops.h"
#include "kernels/testing/random_weights.h"

namespace vortex::kernels {
namespace {

using testing::random_activations;
using testing::random_matrix;
using testing::RandomMatrix;

/// Products of one layer that share their input, `copies` times with different weights, so that no cache holds them.
class Layers {
 public:
  Layers(DenseOps* ops, DType dtype, std::vector<int64_t> rows, int64_t cols, int copies, int64_t tokens)
      : ops_(ops), rows_(std::move(rows)), tokens_(tokens), x_(random_activations(tokens * cols, 1)) {
    for (size_t i = 0; i < rows_.size() * static_cast<size_t>(copies); ++i) {
      const int64_t n = rows_[i % rows_.size()];
      sources_.push_back(random_matrix(dtype, n, cols, static_cast<uint32_t>(i)));
      matrices_.push_back(ops->prepare(sources_.back().view).value());
      outs_.emplace_back(static_cast<size_t>(tokens * n));
      bytes_ += sources_.back().bytes.size();
    }
  }

  void run() {
    for (size_t first = 0; first < matrices_.size(); first += rows_.size()) multiply(ops_, first, tokens_);
  }

  /// The first layer's largest relative error against the reference, on at most four tokens.
  double error() {
    const int64_t tokens = std::min<int64_t>(tokens_, 4);
    multiply(ops_, 0, tokens);
    const std::vector<std::vector<float>> fast = outs_;
    const std::unique_ptr<DenseOps> ref = make_ref_dense_ops();
    std::swap(matrices_, ref_matrices_);
    for (const RandomMatrix& source : sources_) matrices_.push_back(ref->prepare(source.view).value());
    multiply(ref.get(), 0, tokens);
    std::swap(matrices_, ref_matrices_);
    double worst = 0.0;
    for (size_t p = 0; p < rows_.size(); ++p) worst = std::max(worst, relative_error(fast[p], outs_[p]));
    return worst;
  }

  double bytes() const { return static_cast<double>(bytes_); }
  double operations() const {
    double weights = 0.0;
    for (const RandomMatrix& source : sources_) weights += static_cast<double>(source.view.shape.elements());
    return 2.0 * weights * static_cast<double>(tokens_);
  }

 private:
  static double relative_error(const std::vector<float>& a, const std::vector<float>& b) {
    double difference = 0.0, norm = 1e-30;
    for (size_t i = 0; i < a.size(); ++i) {
      difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
      norm += double{b[i]} * b[i];
    }
    return std::sqrt(difference / norm);
  }

  void multiply(DenseOps* ops, size_t first, int64_t tokens) {
    std::vector<Product> products;
    for (size_t i = first; i < first + rows_.size(); ++i)
      products.push_back({matrices_[i].get(), outs_[i].data(), matrices_[i]->rows()});
    ops->matmul(x_.data(), tokens, products);
  }

  DenseOps* ops_;
  std::vector<int64_t> rows_;
  int64_t tokens_;
  std::vector<float> x_;
  std::vector<RandomMatrix> sources_;
  std::vector<std::unique_ptr<Matrix>> matrices_, ref_matrices_;
  std::vector<std::vector<float>> outs_;
  size_t bytes_ = 0;
};

struct LayerShape {
  const char* name;
  std::vector<int64_t> rows;
  int64_t cols;
};

void time_layers(benchmark::State& state, DType dtype, const LayerShape& shape, int copies, int64_t tokens) {
  const std::unique_ptr<DenseOps> ops = make_cpu_dense_ops(&bench::shared_pool());
  Layers layers(ops.get(), dtype, shape.rows, shape.cols, copies, tokens);
  const double error = layers.error();
  if (!(error < 0.02)) return state.SkipWithError("the result differs from the reference");
  double best = 1e30;  // other work on the machine only ever adds time
  for (auto _ : state) {
    const auto start = std::chrono::steady_clock::now();
    layers.run();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  const double read = layers.bytes() / best * 1e-9, multiply = layers.operations() / best * 1e-9;
  state.counters["best_us"] = best * 1e6;
  state.counters["GB/s"] = read;
  state.counters["of_read"] = read / bench::shared_roofline().read_gb_per_s;
  state.counters["GFLOP/s"] = multiply;
  state.counters["of_fma"] = multiply / bench::shared_roofline().fma_gflop_per_s;
  state.counters["error"] = error;
}

void add(const std::string& group, DType dtype, const LayerShape& shape, int copies, int64_t tokens) {
  const std::string name = fmt::format("{}/{}/{}/tokens:{}", group, shape.name, dtype_info(dtype).name, tokens);
  benchmark::RegisterBenchmark(name.c_str(),
                               [=](benchmark::State& state) { time_layers(state, dtype, shape, copies, tokens); })
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}

void add_all() {
  const LayerShape qkv{"qkv", {576, 192, 192}, 576}, out{"out", {576}, 576}, gate_up{"gate_up", {1536, 1536}, 576},
      down{"down", {576}, 1536}, vocab{"vocab", {49152}, 576}, wide{"wide", {1024}, 384};
  for (const DType dtype :
       {DType::kQ4_1, DType::kQ8_0, DType::kQ4_0, DType::kQ5_0, DType::kQ5_1, DType::kBF16, DType::kF16, DType::kF32})
    add("decode", dtype, gate_up, 64, 1);
  for (const DType dtype : {DType::kQ4_K, DType::kQ5_K, DType::kQ6_K})
    add("decode", dtype, {"gate_up_768", {1536, 1536}, 768}, 48, 1);
  for (const LayerShape& shape : {qkv, out, down}) add("decode", DType::kQ4_1, shape, 100, 1);
  add("decode", DType::kQ8_0, vocab, 1, 1);
  for (const int tokens : {2, 4, 8, 16})
    for (const DType dtype : {DType::kQ4_1, DType::kBF16}) add("batch", dtype, gate_up, 64, tokens);
  for (const LayerShape& shape : {gate_up, down, out, wide})
    for (const DType dtype : {DType::kQ4_1, DType::kQ8_0, DType::kF32, DType::kBF16})
      add("prefill", dtype, shape, 1, 512);
}

}  // namespace
}  // namespace vortex::kernels

int main(int argc, char** argv) {
  vortex::kernels::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
