// Scoring and selecting the pages of one row: checked against the interpreter, then timed. GB/s counts each field once;
// the share is of the read bandwidth measured in the same run. Over keys and values the page size is 16, head_dim 128,
// four heads a group; over latents 32, 512 + 64, eight heads.
// The last argument is 1 for pages scattered over the pool one by one (the worst case: a TLB miss a page), 0 for a
// context that was written in one go.
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include <cmath>
#include <cstring>
#include <random>

#include "attention/attention.h"
#include "base/cpu_features.h"
#include "base/worker_pool.h"
#include "bench/roofline/roofline.h"
#include "device/device.h"
#include "flow/flow.h"
#include "flow/flow_testing.h"
#include "flows/registry.h"
#include "tensor/codes.h"
#include "tensor/sequence_state.h"

namespace vortex::flow {
namespace {

GraphShape shape_of(AttentionKind kind) {
  if (kind == AttentionKind::kMla) return {.group = 8, .head_dim = 576, .page_tokens = 32, .kv_lora_rank = 512};
  return {.group = 4, .head_dim = 128, .page_tokens = 16};
}

constexpr int kUpdatedPages = 512;
constexpr int64_t kDifferentPages = 4096;  // random ones, then the same again: making them takes longer than reading
constexpr int64_t kColdBytes = int64_t{192} << 20;  // fields of all contexts together, so that no cache holds them

std::unique_ptr<CompiledFlow> compile(const char* name, BackendKind backend) {
  auto flow = flows::make_flow(name).value();
  return CompiledFlow::compile(*flow, name, shape_of(flow->attention()), {DType::kBF16, backend, {}},
                               &bench::shared_pool())
      .value();
}

/// Contexts of `pages` pages whose fields hold random numbers; base fields are not there, scoring does not read them.
class Contexts {
 public:
  Contexts(const GraphShape& shape, std::span<const FieldSpec> fields, int pages, bool shuffled)
      : shape_(shape), pages_(pages), shuffled_(shuffled) {
    int64_t bytes = 0;
    for (const FieldSpec& f : fields) bytes += f.page_bytes();
    count_ = static_cast<int>(1 + kColdBytes / (bytes * pages));
    views_.assign(shape.latent() ? 1 : 2, FieldView{nullptr, int64_t{2} * shape.page_tokens * shape.head_dim,
                                                    shape.page_tokens, shape.head_dim, DType::kBF16});
    for (const FieldSpec& f : fields) add_field(f, f.name == "min" ? -1.0f : 1.0f);
    view_ = {views_, 1, shape.page_tokens, shape.page_tokens};
    query_.resize(static_cast<size_t>(shape.group) * static_cast<size_t>(shape.head_dim));
    make_steps();
    for (float& x : query_) x = normal_(random_);
  }

  int count() const { return count_; }
  const PageView& view() const { return view_; }
  const StepPlan& step(int64_t i) const { return steps_[static_cast<size_t>(i % count_)]; }
  const float* query() const { return query_.data(); }
  PageList list(int64_t i) const {
    PageList out;
    list_reserved_pages(step(i), view_, &out);
    return out;
  }

 private:
  void add_field(const FieldSpec& spec, float sign) {
    const int64_t page_bytes = spec.page_bytes(), bytes = page_bytes * pages_ * count_;
    memory_.push_back(cpu_->allocate(bytes).value());
    std::byte* data = memory_.back()->data();
    const int64_t different = std::min<int64_t>(kDifferentPages, bytes / page_bytes) * page_bytes;
    if (code_bits(spec.dtype) > 0) {
      fill_codes(spec, data, different / page_bytes);
    } else {
      auto* numbers = reinterpret_cast<uint16_t*>(data);
      for (int64_t i = 0; i < different / 2; ++i)
        numbers[i] = f32_to_bf16(sign * static_cast<float>(random_() >> 8) * 0x1p-24f);
    }
    for (int64_t at = different; at < bytes; at += different)
      std::memcpy(data + at, data, static_cast<size_t>(std::min(different, bytes - at)));
    views_.push_back({data, page_bytes, spec.rows, spec.cols, spec.dtype});
  }

  void fill_codes(const FieldSpec& spec, std::byte* data, int64_t pages) {
    const CodeLayout layout(spec.dtype, spec.rows, spec.cols);
    std::vector<float> x(static_cast<size_t>(spec.rows) * static_cast<size_t>(spec.cols));
    for (int64_t p = 0; p < pages; ++p) {
      for (float& v : x) v = normal_(random_);
      encode_page(layout, x.data(), data + p * layout.page_bytes());
    }
  }

  void make_steps() {
    tables_.resize(1);
    std::vector<SlabId>& ids = tables_.front();
    ids.resize(static_cast<size_t>(pages_) * static_cast<size_t>(count_));
    std::iota(ids.begin(), ids.end(), 0);
    if (shuffled_) std::shuffle(ids.begin(), ids.end(), random_);
    states_.resize(static_cast<size_t>(count_));
    for (int i = 0; i < count_; ++i) {
      SequencePlan s;
      s.table =
          std::span(ids).subspan(static_cast<size_t>(i) * static_cast<size_t>(pages_), static_cast<size_t>(pages_));
      s.tokens = pages_ * shape_.page_tokens;
      s.pages = pages_;
      s.budget = s.selected = 32;
      s.last_tokens = shape_.page_tokens;
      s.state = &states_[static_cast<size_t>(i)];
      StepPlan step;
      step.kv_heads = 1;
      step.reserved_eos = 2;
      step.sequences = {s};
      steps_.push_back(step);
    }
  }

  GraphShape shape_;
  int pages_, count_ = 0;
  bool shuffled_;
  std::mt19937 random_{1};
  std::normal_distribution<float> normal_;
  std::unique_ptr<device::Device> cpu_ = device::make_cpu_device();  // large pages, as the engine's pool
  std::vector<std::unique_ptr<device::Buffer>> memory_;
  std::vector<std::vector<SlabId>> tables_;
  std::vector<FieldView> views_;
  PageView view_;
  std::vector<SequenceState> states_;
  std::vector<StepPlan> steps_;
  std::vector<float> query_;
};

/// Each scores its own copy of the same numbers: a flow may save to its fields.
bool agrees(CompiledFlow& fast, CompiledFlow& reference, int pages) {
  const GraphShape& shape = fast.plan().graph.shape;
  const Contexts mine(shape, fast.fields(), pages, true), other(shape, fast.fields(), pages, true);
  const auto x = fast.scores(mine.view(), mine.step(0), 0, mine.query());
  const auto y = reference.scores(other.view(), other.step(0), 0, other.query());
  double norm = 0, worst = 0;
  for (size_t i = 1; i < x.size(); ++i) {
    norm = std::max(norm, std::abs(double{y[i]}));
    worst = std::max(worst, std::abs(double{x[i]} - y[i]));
  }
  return x.size() == y.size() && worst <= norm * 0x1p-6;
}

template <class Run>
void time_flow(benchmark::State& state, const char* name, Run run) {
  const auto flow = compile(name, BackendKind::kCpu);
  const int pages = static_cast<int>(state.range(0));
  const Contexts contexts(flow->plan().graph.shape, flow->fields(), pages, state.range(1) != 0);
  if (!agrees(*flow, *compile(name, BackendKind::kInterpreter), pages))
    return state.SkipWithError("the scores differ from the interpreter's");
  int64_t i = 0;
  for (auto _ : state) run(*flow, contexts, i++);
  const double bytes = static_cast<double>(flow->plan().bytes_read_per_page() * (pages - 2));
  const double total = bytes * static_cast<double>(state.iterations()) * 1e-9;
  state.counters["GB/s"] = benchmark::Counter(total, benchmark::Counter::kIsRate);
  state.counters["share"] =
      benchmark::Counter(total / bench::shared_roofline().read_gb_per_s, benchmark::Counter::kIsRate);
}

void score(benchmark::State& state, const char* name) {
  time_flow(state, name, [](CompiledFlow& flow, const Contexts& contexts, int64_t i) {
    benchmark::DoNotOptimize(flow.scores(contexts.view(), contexts.step(i), 0, contexts.query()));
  });
}

void select(benchmark::State& state, const char* name) {
  PageList list;
  time_flow(state, name, [&](CompiledFlow& flow, const Contexts& contexts, int64_t i) {
    list_reserved_pages(contexts.step(i), contexts.view(), &list);
    if (!flow.select(contexts.view(), contexts.step(i), contexts.query(), &list).ok()) std::abort();
  });
}

/// Dense attention over every page of a row: what a selection saves most of.
void attend(benchmark::State& state, AttentionKind kind) {
  const int pages = static_cast<int>(state.range(0));
  const GraphShape shape = shape_of(kind);
  const size_t base = shape.latent() ? 1 : 2;
  const std::vector<FieldSpec> fields(base, {"base", shape.page_tokens, shape.head_dim, DType::kBF16});
  const Contexts contexts(shape, fields, pages, false);
  PageView view = contexts.view();
  view.fields = view.fields.subspan(base);
  const auto attention = attention::make_cpu_attention_ops(&bench::shared_pool());
  std::vector<float> out(static_cast<size_t>(shape.group) * static_cast<size_t>(shape.head_dim));
  PageList list;
  int64_t i = 0;
  for (auto _ : state) {
    list_all_pages(contexts.step(i++), view, &list);
    attention->decode(view, list, {.group = shape.group, .scale = 0.1f, .latent_rank = shape.kv_lora_rank},
                      contexts.query(), out.data());
  }
  const double total =
      static_cast<double>(state.iterations() * pages * fields[0].page_bytes()) * static_cast<double>(base) * 1e-9;
  state.counters["GB/s"] = benchmark::Counter(total, benchmark::Counter::kIsRate);
}

/// forward_cache on one page at a time, tokens read from k.
void update(benchmark::State& state, const char* name) {
  const auto flow = compile(name, BackendKind::kCpu);
  const GraphShape& graph = flow->plan().graph.shape;
  WorldShape shape{graph.group, graph.head_dim, graph.page_tokens, 1, 1, {kUpdatedPages * graph.page_tokens}};
  shape.kv_lora_rank = graph.kv_lora_rank;
  World world(shape, flow->fields(), 1);
  const std::vector<PageId> pages = world.full_pages();
  for (auto _ : state) flow->update(world.view, pages);
  state.counters["ns/page"] = benchmark::Counter(static_cast<double>(state.iterations() * kUpdatedPages) * 1e-9,
                                                 benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void register_all() {
  const auto attend_keys = [](auto& s) { attend(s, AttentionKind::kGqa); };
  const auto attend_latents = [](auto& s) { attend(s, AttentionKind::kMla); };
  benchmark::RegisterBenchmark("attend/all_pages", attend_keys)->Arg(2048)->UseRealTime();
  benchmark::RegisterBenchmark("attend/all_latents", attend_latents)->Arg(512)->UseRealTime();
  for (const auto& info : flows::list_flows()) {
    const char* name = info.name.data();
    benchmark::RegisterBenchmark(fmt::format("score/{}", name).c_str(), [=](auto& s) { score(s, name); })
        ->Args({info.attention == AttentionKind::kMla ? 512 : 4096, 0})
        ->Args({info.attention == AttentionKind::kMla ? 512 : 4096, 1})
        ->UseRealTime();
    benchmark::RegisterBenchmark(fmt::format("select/{}", name).c_str(), [=](auto& s) { select(s, name); })
        ->Args({info.attention == AttentionKind::kMla ? 512 : 2048, 0})
        ->Args({4096, 0})
        ->UseRealTime();
    benchmark::RegisterBenchmark(fmt::format("update/{}", name).c_str(), [=](auto& s) {
      update(s, name);
    })->UseRealTime();
  }
}

}  // namespace
}  // namespace vortex::flow

int main(int argc, char** argv) {
  vortex::flow::register_all();
  benchmark::Initialize(&argc, argv);
  fmt::print(stderr, "read bandwidth {:.1f} GB/s\n", vortex::bench::shared_roofline().read_gb_per_s);
  benchmark::RunSpecifiedBenchmarks();
}
