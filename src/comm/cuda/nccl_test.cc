// NCCL's start, operations and end, with a double in its place. Ranks are threads; without a GPU the double works on
// host memory.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <numeric>
#include <thread>

#include "comm/cuda/device_communicator.h"
#include "comm/host_place.h"
#include "comm/local_group.h"
#include "comm/testing.h"

namespace vortex::cuda {
namespace {

using comm::Communicator;
using comm::local_group;
using comm::testing::run_ranks;
using comm::testing::shared_memory_group;

class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Variable() { ::unsetenv(name_); }

 private:
  const char* name_;
};

class NcclTest : public ::testing::Test {
 protected:
  Variable library_{"VORTEX_NCCL_LIBRARY", VORTEX_NCCL_DOUBLE};
};

/// "where: message (hint)" of what it throws; empty: nothing.
template <class Work>
std::string thrown_by(Work work) {
  try {
    work();
  } catch (const Failure& failure) {
    return failure.error().to_string();
  }
  return "";
}

TEST_F(NcclTest, SumsGathersAndBroadcasts) {
  run_ranks(local_group(3), [](Communicator& comm) {
    const auto nccl = nccl_communicator(&comm);
    const auto held = nccl->hold();
    EXPECT_TRUE(nccl->capturable());
    std::vector<float> data(700'000);  // three parts of the double
    std::iota(data.begin(), data.end(), static_cast<float>(comm.rank()));
    std::vector<float> sum(data.size());
    nccl->all_reduce_sum(data.data(), sum.data(), std::ssize(data), nullptr);
    for (size_t i = 0; i < data.size(); i += 997) EXPECT_EQ(sum[i], 3 * static_cast<float>(i) + 3) << i;
    nccl->all_reduce_sum(sum.data(), sum.data(), 5, nullptr);
    EXPECT_EQ(sum[1], 18);

    std::vector<int> all(6);
    const int part[] = {comm.rank(), 10 + comm.rank()};
    nccl->all_gather(part, sizeof part, all.data(), nullptr);
    EXPECT_EQ(all, (std::vector{0, 10, 1, 11, 2, 12}));
    int token = 7 + comm.rank();
    nccl->broadcast(&token, sizeof token, nullptr);
    EXPECT_EQ(token, 7);
    EXPECT_TRUE(nccl->status().ok());
  });
}

TEST_F(NcclTest, StaysOnTheHostWithoutMulticastUnlessTheUserSaid) {
  ::unsetenv("NCCL_NVLS_ENABLE");
  ::unsetenv("NCCL_SOCKET_IFNAME");
  run_ranks(local_group(1), [](Communicator& comm) { nccl_communicator(&comm); });
  EXPECT_STREQ(std::getenv("NCCL_NVLS_ENABLE"), "0");
  EXPECT_STREQ(std::getenv("NCCL_SOCKET_IFNAME"), "lo");
  const Variable user("NCCL_NVLS_ENABLE", "1");
  run_ranks(local_group(1), [](Communicator& comm) { nccl_communicator(&comm); });
  EXPECT_STREQ(std::getenv("NCCL_NVLS_ENABLE"), "1");
}

TEST_F(NcclTest, SaysWhatIsMissing) {
  auto alone = local_group(1);
  {
    const Variable nowhere("VORTEX_NCCL_LIBRARY", "/nowhere/libnccl.so.2");
    const std::string said = thrown_by([&] { nccl_communicator(alone[0].get()); });
    EXPECT_TRUE(said.starts_with("/nowhere/libnccl.so.2: ")) << said;
    EXPECT_NE(said.find("libnccl2"), said.npos) << said;
    EXPECT_NE(said.find("nvidia-nccl-cu13"), said.npos) << said;
    EXPECT_EQ(said.find('\n'), said.npos) << said;
  }
  const Variable double_again("VORTEX_NCCL_LIBRARY", VORTEX_NCCL_DOUBLE);
  const Variable old("VORTEX_NCCL_DOUBLE_VERSION", "21703");
  const std::string said = thrown_by([&] { nccl_communicator(alone[0].get()); });
  EXPECT_NE(said.find("is NCCL 2.17, at least 2.18 is needed"), said.npos) << said;
}

/// Rank 1 leaves without a word while rank 0 is in a sum with it.
TEST_F(NcclTest, ARankThatLeavesEndsTheWaitOfTheOthers) {
  const auto begin = std::chrono::steady_clock::now();
  run_ranks(shared_memory_group(2), [](Communicator& comm) {
    const auto nccl = nccl_communicator(&comm);
    if (comm.rank() == 1) return;
    float value = 1;
    {
      const auto held = nccl->hold();
      nccl->all_reduce_sum(&value, &value, 1, nullptr);
    }
    EXPECT_EQ(nccl->status().error().where, "rank 1");
    const std::string said = thrown_by([&] { nccl->hold(); });
    EXPECT_TRUE(said.starts_with("rank 1: ")) << said;
  });
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8));
}

TEST_F(NcclTest, ARankThatLeavesEndsTheStartOfTheOthers) {
  run_ranks(shared_memory_group(2), [](Communicator& comm) {
    if (comm.rank() == 1) {
      std::vector<std::byte> id;
      EXPECT_TRUE(comm::host_place(comm).ok() && comm.broadcast(&id).ok());
      return;
    }
    const std::string said = thrown_by([&] { nccl_communicator(&comm); });
    EXPECT_TRUE(said.starts_with("rank 1: ")) << said;
  });
}

TEST_F(NcclTest, WhatFailsInsideNcclIsNoticed) {
  run_ranks(local_group(1), [](Communicator& comm) {
    const auto nccl = nccl_communicator(&comm);
    const Variable error("VORTEX_NCCL_DOUBLE_ERROR", "1");
    for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
         nccl->status().ok() && std::chrono::steady_clock::now() < end;)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ASSERT_FALSE(nccl->status().ok());
    EXPECT_EQ(nccl->status().error().where, "nccl");
    EXPECT_EQ(nccl->status().error().message, "between ranks: the double was told to fail");
  });
}

}  // namespace
}  // namespace vortex::cuda
