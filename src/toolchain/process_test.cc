#include "toolchain/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vortex::toolchain {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

TEST(ProcessTest, OutputAndStatus) {
  const auto ran = run_process({"/bin/sh", "-c", "echo out; echo err >&2; exit 3"});
  ASSERT_TRUE(ran.ok());
  EXPECT_EQ(ran->status, 3);
  EXPECT_EQ(ran->output, "out\nerr\n");
  EXPECT_FALSE(ran->timed_out);
}

TEST(ProcessTest, ArgumentsAreNotReadByAShell) {
  const auto ran = run_process({"/bin/echo", "$HOME; `ls` \"*\""});
  ASSERT_TRUE(ran.ok());
  EXPECT_EQ(ran->output, "$HOME; `ls` \"*\"\n");
}

TEST(ProcessTest, PastTheLimitAllOfItIsKilled) {
  const auto start = std::chrono::steady_clock::now();
  const auto ran = run_process({"/bin/sh", "-c", "echo begun; sleep 60 & wait"}, {.time = milliseconds(300)});
  ASSERT_TRUE(ran.ok());
  EXPECT_TRUE(ran->timed_out);
  EXPECT_EQ(ran->status, 128 + 9);
  EXPECT_EQ(ran->output, "begun\n");
  EXPECT_LT(std::chrono::steady_clock::now() - start, milliseconds(20'000));
}

TEST(ProcessTest, EndlessOutputIsBounded) {
  const auto ran =
      run_process({"/bin/sh", "-c", "head -c 3000000 /dev/zero"}, {.time = milliseconds(30'000), .output_bytes = 1000});
  ASSERT_TRUE(ran.ok());
  EXPECT_EQ(ran->status, 0);
  EXPECT_EQ(ran->output.size(), 1000u);
}

TEST(ProcessTest, ClosedOutputIsNotTheEnd) {
  const auto ran = run_process({"/bin/sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 5"});
  ASSERT_TRUE(ran.ok());
  EXPECT_EQ(ran->status, 5);
}

TEST(ProcessTest, NoSuchProgram) {
  const auto ran = run_process({"/nowhere/c++"});
  ASSERT_FALSE(ran.ok());
  EXPECT_THAT(ran.error().to_string(), HasSubstr("/nowhere/c++: cannot start: No such file"));
}

}  // namespace
}  // namespace vortex::toolchain
