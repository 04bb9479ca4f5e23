#include "base/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <limits>
#include <mutex>
#include <numeric>
#include <thread>
#include <tuple>
#include <vector>

namespace vortex {
namespace {

// 8 is more than the cores of a small machine: the crowded path.
class WorkerPoolSizes : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Threads, WorkerPoolSizes, testing::Values(1, 2, 3, 8));

TEST_P(WorkerPoolSizes, RunCallsEachThreadOnce) {
  WorkerPool pool(GetParam());
  EXPECT_EQ(pool.size(), GetParam());
  std::vector<int> calls(static_cast<size_t>(pool.size()), 0);
  pool.run([&](int thread) { ++calls[static_cast<size_t>(thread)]; });
  EXPECT_EQ(calls, std::vector<int>(calls.size(), 1));
}

TEST_P(WorkerPoolSizes, ItemsAreVisitedExactlyOnce) {
  WorkerPool pool(GetParam());
  for (const int64_t n : {0, 1, 2, 7, 1000}) {
    std::vector<std::atomic<int>> visits(static_cast<size_t>(n));
    pool.parallel_items(n, [&](int64_t item, int thread) {
      EXPECT_TRUE(thread >= 0 && thread < pool.size());
      visits[static_cast<size_t>(item)].fetch_add(1);
    });
    for (const auto& count : visits) EXPECT_EQ(count.load(), 1) << "n " << n;
  }
}

TEST_P(WorkerPoolSizes, RangesTileTheWholeOnAlignedBorders) {
  WorkerPool pool(GetParam());
  for (const int64_t align : {1, 8, 64}) {
    for (const int64_t n : {0, 1, 8, 63, 64, 65, 1000}) {
      std::mutex mutex;
      std::vector<std::tuple<int64_t, int64_t, int>> ranges;
      pool.parallel_ranges(n, align, [&](int64_t begin, int64_t end, int thread) {
        const std::scoped_lock lock(mutex);
        ranges.emplace_back(begin, end, thread);
      });
      std::sort(ranges.begin(), ranges.end());
      int64_t covered = 0;
      int last_thread = -1;
      for (const auto& [begin, end, thread] : ranges) {
        EXPECT_EQ(begin, covered);
        EXPECT_LT(begin, end);
        EXPECT_EQ(begin % align, 0);
        EXPECT_GT(thread, last_thread);
        covered = end;
        last_thread = thread;
      }
      EXPECT_EQ(covered, n) << "align " << align;
    }
  }
}

TEST_P(WorkerPoolSizes, RangesSurviveHugeCounts) {
  WorkerPool pool(GetParam());
  std::atomic<int64_t> total = 0;
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  pool.parallel_ranges(kHuge, 64, [&](int64_t begin, int64_t end, int) { total += end - begin; });
  EXPECT_EQ(total.load(), kHuge);
}

TEST_P(WorkerPoolSizes, UnevenItemsKeepEveryResult) {
  WorkerPool pool(GetParam());
  std::vector<int64_t> sums(200, 0);
  pool.parallel_items(200, [&](int64_t item, int) {
    const int64_t work = item % 50 == 0 ? 200'000 : 10;
    for (int64_t i = 0; i <= work; ++i) sums[static_cast<size_t>(item)] += i;
  });
  for (int64_t item = 0; item < 200; ++item) {
    EXPECT_EQ(sums[static_cast<size_t>(item)], item % 50 == 0 ? 20'000'100'000 : 55);
  }
}

TEST_P(WorkerPoolSizes, ServesAgainAfterItsWorkersFellAsleep) {
  WorkerPool pool(GetParam());
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> calls = 0;
    pool.run([&](int) { ++calls; });
    EXPECT_EQ(calls.load(), pool.size());
  }
}

TEST(WorkerPool, IsReusedAHundredThousandTimes) {
  WorkerPool pool(2);
  // Plain counters: a missing happens-before edge between rounds is a data race that TSan reports.
  int64_t counters[2] = {0, 0};
  for (int round = 0; round < 100'000; ++round) {
    pool.run([&](int thread) { ++counters[thread]; });
    ASSERT_EQ(counters[0], counters[1]);
  }
  EXPECT_EQ(counters[1], 100'000);
}

TEST(WorkerPoolDeathTest, RefusesNestedRunsAndImpossibleSizes) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(WorkerPool(0), "0 threads");
  EXPECT_DEATH(
      {
        WorkerPool pool(1);
        pool.run([&](int) { pool.run([](int) {}); });
      },
      "from inside a body");
}

}  // namespace
}  // namespace vortex
