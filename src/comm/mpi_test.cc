// Ranks that mpirun starts; skipped where there is none.
#include <gtest/gtest.h>

#include <filesystem>

#include "comm/rig_testing.h"

namespace vortex::comm {
namespace {

using std::chrono::milliseconds;
using testing::Rig;

/// Containers run as root and have few cores, which mpirun refuses unless told.
std::vector<std::string> mpirun(int ranks, const std::string& through, const std::vector<std::string>& options = {}) {
  std::vector<std::string> command = {"env", "VORTEX_COMM=" + through, "mpirun", "--allow-run-as-root",
                                      "--oversubscribe"};
  command.insert(command.end(), options.begin(), options.end());
  command.insert(command.end(), {"-n", std::to_string(ranks)});
  return command;
}

class Mpi : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::system("mpirun --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "mpirun is not installed";
    if (!std::filesystem::exists(std::filesystem::path(VORTEX_RANK_RIG).parent_path() / "libvortex_mpi.so"))
      GTEST_SKIP() << "built without MPI";
  }
};

void expect_right(int ranks, const std::string& through, const std::string& transport) {
  Rig rig(0, ranks, milliseconds(3000), "right", -1, mpirun(ranks, through));
  EXPECT_EQ(rig.wait_for_end(), 0) << rig.all_lines();
  for (int rank = 0; rank < ranks; ++rank) {
    EXPECT_EQ(rig.lines_with(rank, "ready " + transport).size(), 1U) << rig.all_lines();
    EXPECT_EQ(rig.lines_with(rank, "right").size(), 1U) << rig.all_lines();
    EXPECT_EQ(rig.lines_with(rank, "left").size(), 1U) << rig.all_lines();
  }
  rig.expect_nothing_left();
}

TEST_F(Mpi, RanksOfOneHostSpeakThroughSharedMemory) {
  expect_right(2, "", "shared memory");
  expect_right(3, "", "shared memory");
}

TEST_F(Mpi, RanksMayBeToldToSpeakThroughMpi) {
  expect_right(2, "mpi", "MPI");
  expect_right(3, "mpi", "MPI");
}

TEST_F(Mpi, AnotherSizeThanMpirunsIsRefused) {
  Rig rig(3, 2, milliseconds(3000), "right", -1, mpirun(2, ""));
  EXPECT_EQ(rig.wait_for_end(), 4) << rig.all_lines();
  // The first to end takes the other along.
  EXPECT_THAT(rig.all_lines(), ::testing::HasSubstr("error --tensor-parallel-size"));
  EXPECT_THAT(rig.all_lines(), ::testing::HasSubstr("3, but 2 processes were started"));
  rig.expect_nothing_left();
}

TEST_F(Mpi, AnUnknownWayToSpeakIsRefused) {
  Rig rig(0, 2, milliseconds(3000), "right", -1, mpirun(2, "telepathy"));
  EXPECT_EQ(rig.wait_for_end(), 4);
  EXPECT_THAT(rig.all_lines(), ::testing::HasSubstr("error VORTEX_COMM"));
  rig.expect_nothing_left();
}

/// The last rank of `ranks` gets `signal` in `scenario`.
void expect_error(int ranks, const std::string& scenario, const std::string& through, int signal,
                  const std::vector<std::string>& options) {
  const int victim = ranks - 1;
  Rig rig(0, ranks, milliseconds(1500), scenario, victim, mpirun(ranks, through, options));
  for (int rank = 0; rank < ranks; ++rank) ASSERT_TRUE(rig.wait_for_line(rank, "begun", milliseconds(10'000)));
  std::this_thread::sleep_for(milliseconds(300));
  const auto failed_at = testing::Clock::now();
  ASSERT_EQ(::kill(rig.pid_of(victim), signal), 0);
  const std::string expected = fmt::format("error rank {}", victim);
  ASSERT_TRUE(rig.wait_for_line(0, expected, milliseconds(5000))) << scenario << "\n" << rig.all_lines();
  EXPECT_LT(rig.error_time(0) - failed_at, milliseconds(5000));
  rig.wait_for_end();
  EXPECT_LT(testing::Clock::now() - failed_at, milliseconds(8000)) << rig.all_lines();
  rig.expect_nothing_left();
}

TEST_F(Mpi, AStoppedRankIsAnError) {
  for (const char* scenario : {"all_reduce", "all_gather", "gather", "idle", "compute", "work"})
    expect_error(2, scenario, "mpi", SIGSTOP, {});
  expect_error(2, "work", "", SIGSTOP, {});
}

// Without --enable-recovery mpirun kills the other ranks at once itself.
TEST_F(Mpi, AKilledRankIsAnError) {
  expect_error(2, "work", "mpi", SIGKILL, {"--enable-recovery"});
  expect_error(3, "all_reduce", "mpi", SIGKILL, {"--enable-recovery", "--mca", "btl", "tcp,self"});
  expect_error(2, "idle", "", SIGKILL, {"--enable-recovery"});
}

}  // namespace
}  // namespace vortex::comm
