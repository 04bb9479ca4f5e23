// What the benchmark of decode attention runs: its comparison notices what is wrong, its bytes are those that are read.
#include "attention/decode_timing.h"

#include <gtest/gtest.h>

#include <set>

#include "attention/decode_case.h"
#include "base/worker_pool.h"

namespace vortex::attention {
namespace {

DecodeTask small_task() {
  DecodeTask task{.batch = 3, .context = 165, .kv_heads = 2, .group = 3, .head_dim = 32, .scale = 0.2f};
  task.copy_bytes = 1 << 16;
  return task;
}

TEST(DecodeTiming, TimesWhatAgreesWithPlainLoops) {
  WorkerPool pool(2);
  for (int pages : {0, 5}) {
    for (int rank : {0, 24}) {
      DecodeTask task = small_task();
      task.pages = pages;
      task.latent_rank = rank;
      const auto timing = time_decode(task, &pool);
      ASSERT_TRUE(timing.ok()) << timing.error().to_string();
      EXPECT_GT(timing->us, 0);
      EXPECT_GT(timing->copy_gb_per_s, 0);
      EXPECT_LT(timing->error, 1e-3);
    }
  }
}

TEST(DecodeTiming, ComparisonFindsAWrongNumber) {
  const DecodeTask task = small_task();
  const DecodeCase made(task);
  const std::vector<float> zeros(static_cast<size_t>(task.rows() * task.group * task.head_dim));
  const std::vector<uint16_t> noise = noise_block();
  const auto copy = [&](int, PageId page, std::byte* to) {
    std::memcpy(to, noise.data() + page, static_cast<size_t>(task.page_bytes()));
  };
  EXPECT_FALSE(made.compare(zeros, 1e-3, copy).ok());
}

TEST(DecodeTiming, RowsReadPagesOfTheirOwn) {
  DecodeTask task = small_task();
  task.pages = 5;
  const DecodeCase made(task);
  std::set<PageId> seen;
  for (int row = 0; row < task.rows(); ++row) {
    const auto pages = made.list().row(row);
    ASSERT_EQ(pages.size(), 5u);
    for (PageId page : pages) EXPECT_TRUE(page >= 0 && seen.insert(page).second);
  }
  // Four whole pages and the five tokens of the last one, keys and values.
  EXPECT_EQ(task.read_bytes(), int64_t{2} * 2 * 32 * (4 * 16 + 5) * 6);
  EXPECT_EQ(small_task().read_bytes(), int64_t{2} * 2 * 32 * 165 * 6);
}

}  // namespace
}  // namespace vortex::attention
