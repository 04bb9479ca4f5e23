// Decode and prefill of real shapes: each is checked against the reference, then timed. GB/s counts keys and values
// once; the shares are of what this machine was measured to do at most in the same run.
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include "attention/attention.h"
#include "attention/attention_testing.h"
#include "base/worker_pool.h"
#include "bench/roofline/roofline.h"

namespace vortex::attention {
namespace {

// Several sequences are decoded in turn, so that no cache holds their keys and values.
constexpr int64_t kColdBytes = int64_t{256} << 20;
constexpr double kLargestError = 1e-5;
constexpr int kLatentTokens = 16384;
constexpr int kShortList = 32;

// A pool that has only grown hands its slabs out one after the other; one that has served many requests does not.
enum SlabOrder : uint32_t { kInOrder = 0, kShuffled = 1 };

/// Sequences of `tokens` tokens in one pool.
class Contexts {
 public:
  Contexts(const PoolShape& shape, int64_t tokens, int sequences, SlabOrder order = kShuffled)
      : shape_(shape), pages_(shape, std::vector<int64_t>(static_cast<size_t>(sequences), tokens), order) {
    const std::vector<float> k = random_floats(tokens * shape.kv_stride(), 1);
    const std::vector<float> v = random_floats(shape.latent_rank > 0 ? 0 : tokens * shape.kv_stride(), 2);
    for (size_t s = 0; s < static_cast<size_t>(sequences); ++s) {
      ops_->store(pages_.view(), {pages_.table(s), 0, tokens}, k.data(), v.empty() ? nullptr : v.data(),
                  shape.kv_stride());
    }
    list_everything();
  }

  void list_everything() {
    lists_.clear();
    for (const SequencePlan& sequence : pages_.step().sequences) {
      StepPlan plan{.kv_heads = shape_.kv_heads, .sequences = {sequence}};
      list_all_pages(plan, pages_.view(), &lists_.emplace_back());
    }
  }

  /// Cuts the lists of one row and whole pages into lists of `pages`, as a sparse selection would be.
  void shorten_lists(int pages) {
    std::vector<PageList> parts;
    for (const PageList& list : lists_) {
      for (size_t at = 0; at + static_cast<size_t>(pages) <= list.pages.size(); at += static_cast<size_t>(pages)) {
        PageList& part = parts.emplace_back(PageList{.offsets = {0, pages}, .last_tokens = list.last_tokens});
        part.pages.assign(list.pages.begin() + static_cast<int64_t>(at),
                          list.pages.begin() + static_cast<int64_t>(at) + pages);
      }
    }
    lists_ = std::move(parts);
  }

  void decode(AttentionOps& ops, size_t list, const float* q, float* out) {
    ops.decode(pages_.view(), lists_[list], shape_.attention(), q, out);
  }
  void prefill(AttentionOps& ops, int64_t first, int64_t count, const float* q, float* out) {
    ops.prefill(pages_.view(), {pages_.table(0), first, count}, shape_.attention(), q, shape_.q_stride(), out,
                shape_.out_stride());
  }
  AttentionOps& cpu() { return *ops_; }
  size_t lists() const { return lists_.size(); }

 private:
  PoolShape shape_;
  TestPool pages_;
  std::unique_ptr<AttentionOps> ops_ = make_cpu_attention_ops(&bench::shared_pool());
  std::vector<PageList> lists_;
};

/// Of a field.
int64_t token_bytes(const PoolShape& shape) {
  return shape.kv_heads * FieldSpec{"", 1, shape.head_dim, shape.dtype}.page_bytes();
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0.0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(double{a[i]} - b[i]));
  return worst;
}

void report(benchmark::State& state, const char* unit, const char* share, double amount, double limit) {
  const double total = amount * static_cast<double>(state.iterations()) * 1e-9;
  state.counters[unit] = benchmark::Counter(total, benchmark::Counter::kIsRate);
  state.counters[share] = benchmark::Counter(total / limit, benchmark::Counter::kIsRate);
}

void time_decode(benchmark::State& state, const PoolShape& shape, int64_t tokens, SlabOrder order) {
  const int64_t bytes = 2 * token_bytes(shape) * tokens;
  Contexts contexts(shape, tokens, static_cast<int>(1 + kColdBytes / bytes), order);
  const std::vector<float> q = random_floats(shape.q_stride(), 3);
  std::vector<float> out(q.size()), expected(q.size());
  contexts.decode(contexts.cpu(), 0, q.data(), out.data());
  contexts.decode(*make_ref_attention_ops(), 0, q.data(), expected.data());
  if (!(largest_difference(out, expected) < kLargestError))
    return state.SkipWithError("the result differs from the reference");
  size_t next = 0;
  for (auto _ : state) contexts.decode(contexts.cpu(), next++ % contexts.lists(), q.data(), out.data());
  report(state, "GB/s", "of_read", static_cast<double>(bytes), bench::shared_roofline().read_gb_per_s);
}

/// Decode over latents: `list_pages` pages a step. Both limits, because either may bind. The reference would take
/// minutes for whole contexts, so the check reads one short list.
void time_latent_decode(benchmark::State& state, const PoolShape& shape, int list_pages) {
  const int64_t bytes = token_bytes(shape) * kLatentTokens;
  Contexts contexts(shape, kLatentTokens, static_cast<int>(1 + kColdBytes / bytes));
  const std::vector<float> q = random_floats(shape.q_stride(), 3, 0.3f);
  std::vector<float> out(static_cast<size_t>(shape.out_stride())), expected(out.size());
  contexts.shorten_lists(std::min(list_pages, kShortList));
  contexts.decode(contexts.cpu(), 0, q.data(), out.data());
  contexts.decode(*make_ref_attention_ops(), 0, q.data(), expected.data());
  if (!(largest_difference(out, expected) < kLargestError))
    return state.SkipWithError("the result differs from the reference");
  if (list_pages > kShortList) contexts.list_everything();
  size_t next = 0;
  for (auto _ : state) contexts.decode(contexts.cpu(), next++ % contexts.lists(), q.data(), out.data());
  const double tokens = static_cast<double>(list_pages) * shape.page_tokens;
  report(state, "GB/s", "of_read", tokens * static_cast<double>(token_bytes(shape)),
         bench::shared_roofline().read_gb_per_s);
  report(state, "GFLOP/s", "of_fma", 2.0 * tokens * static_cast<double>(shape.q_stride() + shape.out_stride()),
         bench::shared_roofline().fma_gflop_per_s);
}

void time_prefill(benchmark::State& state, const PoolShape& shape, int64_t first, int64_t count) {
  Contexts contexts(shape, first + count, 1);
  const std::vector<float> q = random_floats(count * shape.q_stride(), 3);
  std::vector<float> out(q.size()), last(static_cast<size_t>(shape.q_stride()));
  contexts.prefill(contexts.cpu(), first, count, q.data(), out.data());
  const std::vector<float> last_out(out.end() - shape.q_stride(), out.end());
  // The whole prefill would take the reference minutes.
  contexts.prefill(*make_ref_attention_ops(), first + count - 1, 1, q.data() + (count - 1) * shape.q_stride(),
                   last.data());
  if (!(largest_difference(last_out, last) < kLargestError))
    return state.SkipWithError("the result differs from the reference");
  for (auto _ : state) contexts.prefill(contexts.cpu(), first, count, q.data(), out.data());
  const double pairs = static_cast<double>(count) * (static_cast<double>(first) + 0.5 * static_cast<double>(count + 1));
  report(state, "GFLOP/s", "of_fma", 4.0 * pairs * static_cast<double>(shape.q_stride()),
         bench::shared_roofline().fma_gflop_per_s);
}

template <class Body>
void add(const std::string& name, Body body) {
  benchmark::RegisterBenchmark(name.c_str(), body)->UseRealTime()->Unit(benchmark::kMicrosecond);
}

std::string_view name_of(DType dtype) { return dtype == DType::kCode8 ? "int8" : dtype_info(dtype).name; }

void add_latent() {
  for (const int group : {8, 16, 20, 128}) {
    PoolShape shape{.kv_heads = 1, .group = group, .head_dim = 576, .page_tokens = 32, .latent_rank = 512};
    for (const DType dtype : {DType::kBF16, DType::kCode8}) {
      shape.dtype = dtype;
      for (const int pages : {kShortList, kLatentTokens / shape.page_tokens})
        add(fmt::format("latent_decode/{}/heads:{}/pages:{}", name_of(dtype), group, pages),
            [=](benchmark::State& state) { time_latent_decode(state, shape, pages); });
    }
  }
}

std::string heads_of(const PoolShape& shape) {
  return fmt::format("{}x{}x{}", shape.kv_heads, shape.group, shape.head_dim);
}

void add_decode(PoolShape shape) {
  for (const int64_t tokens : {4096, 8192, 32768}) {
    for (const DType dtype : {DType::kBF16, DType::kF32, DType::kCode8}) {
      shape.dtype = dtype;
      for (const SlabOrder order : {kInOrder, kShuffled})
        add(fmt::format("decode/{}/{}/tokens:{}{}", heads_of(shape), name_of(dtype), tokens,
                        order == kInOrder ? "" : "/shuffled"),
            [=](benchmark::State& state) { time_decode(state, shape, tokens, order); });
    }
  }
}

void add_prefill(PoolShape shape) {
  for (const int64_t first : {0, 3584, 15872}) {
    const int64_t count = first == 0 ? 4096 : 512;
    for (const DType dtype : {DType::kBF16, DType::kCode8}) {
      shape.dtype = dtype;
      add(fmt::format("prefill/{}/{}/first:{}/tokens:{}", heads_of(shape), name_of(dtype), first, count),
          [=](benchmark::State& state) { time_prefill(state, shape, first, count); });
    }
  }
}

void add_all() {
  add_latent();
  for (const auto& [kv_heads, group, dim] :
       {std::tuple{3, 3, 64}, {2, 4, 64}, {2, 4, 128}, {8, 2, 128}, {8, 1, 64}, {1, 8, 128}})
    add_decode({.kv_heads = kv_heads, .group = group, .head_dim = dim});
  for (const auto& [kv_heads, group, dim] : {std::tuple{3, 3, 64}, {2, 4, 64}, {8, 2, 128}})
    add_prefill({.kv_heads = kv_heads, .group = group, .head_dim = dim});
}

}  // namespace
}  // namespace vortex::attention

int main(int argc, char** argv) {
  vortex::attention::add_all();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
}
