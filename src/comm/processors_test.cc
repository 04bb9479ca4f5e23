#include "comm/processors.h"

#include <gtest/gtest.h>
#include <sched.h>

namespace vortex::comm {
namespace {

using Share = std::vector<int>;

TEST(ProcessorShare, IsContiguousAndNearEqual) {
  const Share allowed = {2, 3, 5, 8, 9, 11, 12};
  EXPECT_EQ(processor_share(allowed, 0, 3), (Share{2, 3}));
  EXPECT_EQ(processor_share(allowed, 1, 3), (Share{5, 8}));
  EXPECT_EQ(processor_share(allowed, 2, 3), (Share{9, 11, 12}));
  EXPECT_EQ(processor_share({4, 6}, 1, 2), (Share{6}));
}

TEST(ProcessorShare, IsEmptyWhereProcessorsAreFew) {
  EXPECT_EQ(processor_share({0, 1}, 0, 3), Share());
  EXPECT_EQ(processor_share({}, 0, 2), Share());
}

TEST(ThreadsARank, IsAShareAndNeverNone) {
  EXPECT_EQ(threads_a_rank(1000), 1);
  EXPECT_GE(threads_a_rank(1), threads_a_rank(2));
  EXPECT_LE(threads_a_rank(1), static_cast<int>(allowed_processors().size()));
}

TEST(AllowedProcessors, AreThoseOfThisThread) {
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  const Share all = allowed_processors();
  ASSERT_FALSE(all.empty());
  cpu_set_t last;
  CPU_ZERO(&last);
  CPU_SET(all.back(), &last);
  ASSERT_EQ(::sched_setaffinity(0, sizeof last, &last), 0);
  EXPECT_EQ(allowed_processors(), Share{all.back()});
  ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
}

TEST(BoundThread, RunsWhereItIsToldAndThenWhereItRanBefore) {
  const Share all = allowed_processors();
  {
    const BoundThread bound({all.back()});
    EXPECT_EQ(allowed_processors(), Share{all.back()});
    std::thread([&] { EXPECT_EQ(allowed_processors(), Share{all.back()}); }).join();
  }
  EXPECT_EQ(allowed_processors(), all);
  {
    const BoundThread nowhere(Share{});
    EXPECT_EQ(allowed_processors(), all);
  }
  EXPECT_EQ(allowed_processors(), all);
}

}  // namespace
}  // namespace vortex::comm
