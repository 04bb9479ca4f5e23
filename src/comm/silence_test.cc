#include "comm/silence.h"

#include <gtest/gtest.h>

namespace vortex::comm {
namespace {

using std::chrono::milliseconds;

class SilenceTest : public ::testing::Test {
 protected:
  bool over_after(milliseconds passed, bool heard) {
    now_ += passed;
    silence_.begin_look(now_);
    return silence_.is_over(1, heard);
  }

  Silence::Clock::time_point now_ = Silence::Clock::now();
  Silence silence_{2, milliseconds(1000)};
};

TEST_F(SilenceTest, IsOverAfterTheTimeout) {
  ASSERT_FALSE(over_after(milliseconds(0), true));
  for (int beat = 0; beat < 9; ++beat) ASSERT_FALSE(over_after(milliseconds(100), false)) << beat;
  EXPECT_TRUE(over_after(milliseconds(101), false));
  EXPECT_EQ(silence_.failure_of(1).error().to_string(),
            "rank 1: has not answered for 1 s (the ranks of a model end together: start the command again)");
}

TEST_F(SilenceTest, BeginsAnewWithEveryBeat) {
  ASSERT_FALSE(over_after(milliseconds(0), true));
  for (int beat = 0; beat < 100; ++beat) ASSERT_FALSE(over_after(milliseconds(150), beat % 3 == 0)) << beat;
}

TEST_F(SilenceTest, AMachineThatSleptAccusesNobody) {
  ASSERT_FALSE(over_after(milliseconds(0), true));
  EXPECT_FALSE(over_after(std::chrono::hours(1), false));
  EXPECT_FALSE(over_after(milliseconds(100), false));
  EXPECT_FALSE(over_after(milliseconds(100), true));
}

TEST_F(SilenceTest, ALateLookerTakesLongerToAccuse) {
  ASSERT_FALSE(over_after(milliseconds(0), true));
  for (int look = 0; look < 4; ++look) ASSERT_FALSE(over_after(milliseconds(900), false)) << look;
  EXPECT_TRUE(over_after(milliseconds(900), false));
}

}  // namespace
}  // namespace vortex::comm
