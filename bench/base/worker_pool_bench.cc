// The cost of a fork-join: the time of a run() whose body does nothing.
#include <benchmark/benchmark.h>

#include "base/worker_pool.h"

namespace vortex {
namespace {

void BM_ForkJoin(benchmark::State& state) {
  WorkerPool pool(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    pool.run([](int thread) { benchmark::DoNotOptimize(thread); });
  }
}
BENCHMARK(BM_ForkJoin)->Arg(1)->Arg(2)->Arg(4)->UseRealTime();

void BM_ParallelItems(benchmark::State& state) {
  WorkerPool pool(2);
  for (auto _ : state) {
    pool.parallel_items(state.range(0), [](int64_t item, int) { benchmark::DoNotOptimize(item); });
  }
}
BENCHMARK(BM_ParallelItems)->Arg(2)->Arg(64)->UseRealTime();

}  // namespace
}  // namespace vortex
