// Selection on the GPU, a layer: scoring alone, the choice alone, both, and forward_cache of all pages. Each is
// compared with the interpreter before it is timed. Prints JSON: microseconds, bytes of the fields that scoring reads,
// their share of what a copy reaches in the same run.
//   cuda_flow_bench [flow ...]
#include <cuda_runtime_api.h>
#include <fmt/core.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "bench/cuda/flow_step.h"
#include "device/cuda/stream.h"
#include "device/cuda/timing.h"
#include "flows/registry.h"
#include "vortex/flow.h"

namespace vortex::flow {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kLayers = 8;  // of a graph
constexpr int64_t kCopiedBytes = int64_t{2} << 30;

/// Scores that lie in a field: what is left is the choice.
struct Stored : Flow {
  Fields create_cache(const PageShape&) override { return {{"score", {1, 1, "float32"}}}; }
  void forward_cache(CacheScope& c) override { c.write("score", mean(mean(c["k"], 1), 2)); }
  Score forward_indexer(const Tensor&, IndexerScope& c) override { return top_k(c.load("score")); }
};

/// Microseconds of a layer, in a graph of several.
double layer_us(cudaStream_t stream, const std::function<void(int layer)>& work) {
  const cuda::Graph graph = cuda::capture(stream, [&] {
    for (int layer = 0; layer < kLayers; ++layer) work(layer);
  });
  return cuda::median_us(stream, [&] { VORTEX_CUDA_CHECK(cudaGraphLaunch(graph.get(), stream)); }) / kLayers;
}

/// One flow at one shape.
class Case {
 public:
  Case(CompiledFlow& reference, const BenchShape& shape, cudaStream_t stream)
      : reference_(reference), plan_(reference.plan()), step_(shape, plan_), stream_(stream) {}

  Json measure(const std::string& name, double copy) {
    const BenchShape& shape = step_.shape();
    Json out = {{"flow", name},
                {"sequences", shape.sequences},
                {"pages", shape.pages},
                {"kv_heads", shape.kv_heads},
                {"chosen", step_.chosen()}};
    auto compiled = CudaFlow::compile(plan_, step_.limits());
    if (!compiled.ok()) return out["error"] = compiled.error().to_string(), out;
    flow_ = std::move(*compiled);
    states_ = step_.make_states(flow_->state_bytes());
    if (const std::string difference = check(); !difference.empty()) return out["error"] = difference, out;
    const double bytes = static_cast<double>(plan_.bytes_read_per_page()) * (shape.pages - 2) * shape.rows();
    const double scoring = layer_us(stream_, [&](int layer) { score(layer); });
    out["scoring_us"] = scoring;
    out["choice_us"] = layer_us(stream_, [&](int layer) { choose(layer); });
    out["both_us"] = layer_us(stream_, [&](int layer) { decode(layer); });
    out["update_us"] = cuda::median_us(stream_, [&] { update(); });
    out["scoring_bytes"] = bytes;
    out["scoring_share"] = bytes / scoring / copy;
    return out;
  }

 private:
  std::string check() {
    update();
    decode(0);
    VORTEX_CUDA_CHECK(cudaStreamSynchronize(stream_));
    step_.copy_fields();
    const int last = step_.shape().sequences - 1;
    std::string difference = HostSequence(step_, plan_, 0).compare(reference_);
    if (difference.empty() && last > 0) difference = HostSequence(step_, plan_, last).compare(reference_);
    return difference;
  }

  PageView view(int layer) const { return step_.view(layer % step_.copies()); }
  void update() { flow_->update(step_.view(0), step_.step(), step_.tokens(), stream_); }
  void score(int layer) { flow_->score(view(layer), step_.step(), step_.queries(), states_, stream_); }
  void choose(int layer) {
    flow_->choose(view(layer), step_.step(), step_.queries(), states_, step_.list(), step_.nan(), stream_);
  }
  void decode(int layer) {
    flow_->decode(view(layer), step_.step(), step_.queries(), states_, step_.list(), step_.nan(), stream_);
  }

  CompiledFlow& reference_;
  const Plan& plan_;
  DeviceStep step_;
  cudaStream_t stream_;
  std::unique_ptr<CudaFlow> flow_;
  void* const* states_ = nullptr;
};

class Bench {
 public:
  void measure(FlowBase& flow, const std::string& name, const BenchShape& shape) {
    const GraphShape graph{shape.group, shape.head_dim, shape.page_tokens, shape.rank};
    auto compiled = CompiledFlow::compile(
        flow, name, graph, {.dtype = DType::kBF16, .backend = BackendKind::kInterpreter, .passes = {}}, nullptr);
    cases_.push_back(compiled.ok() ? Case(**compiled, shape, stream_.get()).measure(name, copy_)
                                   : Json{{"flow", name}, {"error", compiled.error().to_string()}});
  }
  Json report() const { return {{"copy_gb_per_s", copy_ * 1e-3}, {"layers", kLayers}, {"cases", cases_}}; }

 private:
  const cuda::Stream stream_ = cuda::make_stream();
  const double copy_ = cuda::copy_rate(stream_.get(), kCopiedBytes);
  Json cases_ = Json::array();
};

int run(std::vector<std::string> names) {
  Bench bench;
  Stored stored;
  for (const BenchShape& shape :
       {BenchShape{128, 4096, 8, 1, 8, 29}, BenchShape{1, 65536, 1, 1, 8, 2048}, BenchShape{64, 1024, 8, 1, 8, 29},
        BenchShape{1, 1000, 8, 1, 8, 29}, BenchShape{1, 2000, 8, 1, 8, 29}, BenchShape{1, 8192, 8, 1, 8, 29}})
    bench.measure(stored, "top_k_alone", shape);
  if (names.empty())
    names = {"block_sparse_attention",
             "gqa_block_sparse_attention",
             "gqa_quest_sparse_attention",
             "quest_subpage",
             "sketch1_sparse_attention",
             "sketch2_sparse_attention",
             "sketch2_mass_sparse_attention",
             "lserve_sparse_attention",
             "rope_aware_block_sparse_mla",
             "sketch1_mla",
             "sketch2_mla"};
  for (const std::string& name : names) {
    auto flow = flows::make_flow(name);
    if (!flow.ok()) return fmt::print(stderr, "{}\n", flow.error().to_string()), 1;
    if ((*flow)->attention() == AttentionKind::kMla) {
      bench.measure(**flow, name, {64, 512, 1, 20, 576, 29, 512, 32});
      bench.measure(**flow, name, {1, 1000, 1, 20, 576, 29, 512, 32});
      continue;
    }
    bench.measure(**flow, name, {64, 1024, 8, 2, 128, 29});
    for (int pages : {1000, 2000, 8192}) bench.measure(**flow, name, {1, pages, 8, 4, 128, 29});
  }
  const Json report = bench.report();
  fmt::print("{}\n", report.dump(2));
  return std::any_of(report["cases"].begin(), report["cases"].end(), [](const Json& c) { return c.contains("error"); });
}

}  // namespace
}  // namespace vortex::flow

int main(int argc, char** argv) {
  try {
    return vortex::flow::run({argv + 1, argv + argc});
  } catch (const vortex::cuda::Failure& failure) {
    fmt::print(stderr, "{}\n", failure.what());
    return 1;
  }
}
