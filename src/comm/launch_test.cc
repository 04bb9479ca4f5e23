#include "comm/launch.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "comm/rig_testing.h"

namespace vortex::comm {
namespace {

using std::chrono::milliseconds;
using testing::Rig;

TEST(Launch, RanksOfOneHostGiveRightResults) {
  for (const int size : {2, 3, 4}) {
    Rig rig(size, milliseconds(3000), "right");
    EXPECT_EQ(rig.wait_for_end(), 0) << rig.all_lines();
    for (int rank = 0; rank < size; ++rank) {
      EXPECT_EQ(rig.lines_with(rank, "ready shared memory").size(), 1U);
      EXPECT_EQ(rig.lines_with(rank, "right").size(), 1U) << rig.all_lines();
      EXPECT_EQ(rig.lines_with(rank, "left").size(), 1U);
    }
    rig.expect_nothing_left();
  }
}

TEST(Launch, ARankOfAnotherStartIsRefusedAndNamed) {
  Rig rig(3, milliseconds(3000), "refuse", 2);
  EXPECT_EQ(rig.wait_for_end(), 4);
  EXPECT_EQ(rig.lines_with(2, "is of another start").size(), 1U) << rig.all_lines();
  EXPECT_EQ(rig.lines_with(0, "error rank 2").size(), 1U) << rig.all_lines();
  EXPECT_EQ(rig.lines_with(0, "ended with exit status 4").size(), 1U) << rig.all_lines();
  rig.expect_nothing_left();
}

TEST(Launch, ARankThatDoesNotJoinIsNamed) {
  Rig rig(3, milliseconds(3000), "late", 1);
  EXPECT_EQ(rig.wait_for_end(), 4) << rig.all_lines();
  EXPECT_EQ(rig.lines_with(0, "error rank 1").size(), 1U) << rig.all_lines();
  EXPECT_EQ(rig.lines_with(0, "did not join within 1 s").size(), 1U) << rig.all_lines();
  rig.expect_nothing_left();
}

TEST(Launch, ADeathIsNoticedWhereChildrenAreNotWaitedFor) {
  Rig rig(2, milliseconds(60'000), "deaf", 1);
  ASSERT_TRUE(rig.wait_for_line(0, "begun", milliseconds(10'000)));
  ASSERT_EQ(::kill(rig.pid_of(1), SIGKILL), 0);
  EXPECT_TRUE(rig.wait_for_line(0, "error rank 1", milliseconds(500))) << rig.all_lines();
  EXPECT_EQ(rig.wait_for_end(), 1);
  rig.expect_nothing_left();
}

struct Case {
  const char* scenario;
  int size;
  int victim;
  int signal;
};

std::string name_of(const ::testing::TestParamInfo<Case>& info) {
  const Case& c = info.param;
  return fmt::format("{}_{}_of_{}_{}", c.scenario, c.victim, c.size, c.signal == SIGKILL ? "killed" : "stopped");
}

std::vector<Case> cases() {
  std::vector<Case> out;
  for (const int signal : {SIGKILL, SIGSTOP})
    for (const int size : {2, 3}) {
      for (const char* scenario : {"all_reduce", "all_gather", "gather", "idle", "compute", "work"})
        out.push_back({scenario, size, size - 1, signal});
      for (const char* scenario : {"broadcast", "idle", "all_reduce"}) out.push_back({scenario, size, 0, signal});
    }
  return out;
}

class Failing : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Rank, Failing, ::testing::ValuesIn(cases()), name_of);

TEST_P(Failing, IsAnErrorOnEveryOtherRankInTime) {
  const auto [scenario, size, victim, signal] = GetParam();
  Rig rig(size, milliseconds(1500), scenario, victim);
  for (int rank = 0; rank < size; ++rank) ASSERT_TRUE(rig.wait_for_line(rank, "begun", milliseconds(10'000)));
  std::this_thread::sleep_for(milliseconds(300));
  const auto failed_at = testing::Clock::now();
  ASSERT_EQ(::kill(rig.pid_of(victim), signal), 0);

  const bool killed = signal == SIGKILL;
  for (int rank = 0; rank < size; ++rank) {
    // Rank 0 takes its children along at once.
    if (rank == victim || (killed && victim == 0)) continue;
    ASSERT_TRUE(rig.wait_for_line(rank, fmt::format("error rank {}", victim), milliseconds(5000))) << rig.all_lines();
    EXPECT_LT(rig.error_time(rank) - failed_at, milliseconds(killed ? 500 : 5000)) << rig.all_lines();
  }
  if (victim == 0 && !killed) ::kill(rig.pid_of(0), SIGCONT);  // so that it can end
  rig.wait_for_end();
  EXPECT_LT(testing::Clock::now() - failed_at, milliseconds(killed ? 2000 : 7000)) << rig.all_lines();
  rig.expect_nothing_left();
}

TEST(Launch, AStoppedRankIsNoticedWithinFiveSecondsByDefault) {
  Rig rig(2, kDefaultTimeout, "idle", 1);
  ASSERT_TRUE(rig.wait_for_line(0, "begun", milliseconds(10'000)));
  const auto failed_at = testing::Clock::now();
  ASSERT_EQ(::kill(rig.pid_of(1), SIGSTOP), 0);
  ASSERT_TRUE(rig.wait_for_line(0, "error rank 1", milliseconds(6000))) << rig.all_lines();
  EXPECT_LT(rig.error_time(0) - failed_at, milliseconds(5000));
  EXPECT_GT(rig.error_time(0) - failed_at, milliseconds(2500));
  rig.wait_for_end();
  rig.expect_nothing_left();
}

TEST(Launch, SignalsOfATerminalAreForRankZeroAlone) {
  Rig rig(2, milliseconds(3000), "work");
  ASSERT_TRUE(rig.wait_for_line(1, "begun", milliseconds(10'000)));
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ASSERT_EQ(::kill(rig.pid_of(1), signal), 0);
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_TRUE(rig.lines_with(0, "error").empty()) << rig.all_lines();
  ASSERT_EQ(::kill(rig.pid_of(0), SIGTERM), 0);
  rig.wait_for_end();
  rig.expect_nothing_left();
}

TEST(Launch, ASizeThatCannotBeIsRefused) {
  for (const int size : {-1, 257}) {
    const auto group = join({.size = size});
    ASSERT_FALSE(group.ok());
    EXPECT_EQ(group.error().code, ErrorCode::kConfiguration);
    EXPECT_EQ(group.error().where, "--tensor-parallel-size");
  }
}

TEST(Launch, OneRankIsAGroupToo) {
  const auto group = join({.size = 1});
  ASSERT_TRUE(group.ok());
  Communicator& comm = (*group)->communicator();
  EXPECT_EQ(comm.rank(), 0);
  EXPECT_EQ(comm.size(), 1);
  EXPECT_GE((*group)->threads(), 1);
  std::vector<float> data = {1.0F, 2.0F};
  ASSERT_TRUE(comm.all_reduce_sum(data).ok());
  EXPECT_EQ(data, (std::vector<float>{1.0F, 2.0F}));
  EXPECT_EQ(rank_of_environment(), 0);
}

}  // namespace
}  // namespace vortex::comm
