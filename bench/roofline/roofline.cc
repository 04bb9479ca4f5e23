#include "bench/roofline/roofline.h"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <vector>

#include "bench/roofline/roofline_loops.h"

namespace vortex {
namespace portable {
extern const bench::RooflineLoops kRooflineLoops;
}
#if defined(__x86_64__)
namespace avx2 {
extern const bench::RooflineLoops kRooflineLoops;
}
namespace avx512 {
extern const bench::RooflineLoops kRooflineLoops;
}
#elif defined(__aarch64__)
namespace neon {
extern const bench::RooflineLoops kRooflineLoops;
}
#endif
}  // namespace vortex

namespace vortex::bench {
namespace {

constexpr int kRuns = 8;
constexpr int64_t kFloats = 64 << 20;  // 256 MB

const RooflineLoops& loops_of(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::kAvx512) return avx512::kRooflineLoops;
  if (isa == Isa::kAvx2) return avx2::kRooflineLoops;
#elif defined(__aarch64__)
  if (isa == Isa::kNeon) return neon::kRooflineLoops;
#endif
  (void)isa;
  return portable::kRooflineLoops;
}

/// As the kernels keep their weights.
std::unique_ptr<float[], void (*)(void*)> huge_pages_of_ones() {
  constexpr size_t kBytes = kFloats * sizeof(float), kHugePage = 2 << 20;
  auto* memory = static_cast<float*>(std::aligned_alloc(kHugePage, kBytes));
  VORTEX_CHECK(memory != nullptr, "no memory for {} bytes", kBytes);
  (void)madvise(memory, kBytes, MADV_HUGEPAGE);
  std::fill_n(memory, kFloats, 1.0f);
  return {memory, std::free};
}

/// The best rate of several runs: `work(thread)` returns its units of work.
template <class Work>
double best_rate(WorkerPool* pool, Work work) {
  double best = 0.0;
  std::vector<double> units(static_cast<size_t>(pool->size()));
  for (int run = 0; run < kRuns; ++run) {
    const auto start = std::chrono::steady_clock::now();
    pool->run([&](int thread) { units[static_cast<size_t>(thread)] = work(thread); });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    double total = 0.0;
    for (const double u : units) total += u;
    best = std::max(best, total / seconds.count());
  }
  return best;
}

}  // namespace

Roofline measure_roofline(WorkerPool* pool, Isa isa) {
  const RooflineLoops& loops = loops_of(isa);
  const std::unique_ptr<float[], void (*)(void*)> memory = huge_pages_of_ones();
  std::vector<float> sinks(static_cast<size_t>(pool->size()) * 16, 0.0f);  // a cache line each
  const int64_t share = kFloats / pool->size() / 64 * 64;
  const auto sink = [&](int thread) { return &sinks[static_cast<size_t>(thread) * 16]; };
  Roofline roofline;
  roofline.read_gb_per_s = 1e-9 * best_rate(pool, [&](int thread) {
                             *sink(thread) = loops.read(memory.get() + thread * share, share);
                             return 4.0 * static_cast<double>(share);
                           });
  std::fill(sinks.begin(), sinks.end(), 0.0f);
  roofline.fma_gflop_per_s = 1e-9 * best_rate(pool, [&](int t) { return loops.multiply_add(1 << 20, sink(t)); });
  roofline.int8_gop_per_s = 1e-9 * best_rate(pool, [&](int t) { return loops.dot(1 << 14, sink(t)); });
  return roofline;
}

WorkerPool& shared_pool() {
  static WorkerPool instance(usable_threads());
  return instance;
}

const Roofline& shared_roofline() {
  static const Roofline measured = measure_roofline(&shared_pool(), best_isa().value());
  return measured;
}

}  // namespace vortex::bench
