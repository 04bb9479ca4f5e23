#include "server/sequence_quota.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace vortex::server {
namespace {

TEST(SequenceQuota, TakesAsManyAsThereIsRoomFor) {
  SequenceQuota quota(3, 0);
  auto first = quota.enter();
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->grow_to(2));
  EXPECT_FALSE(first->grow_to(4));
  EXPECT_EQ(quota.sequences(), 2);
  auto second = quota.enter();
  EXPECT_TRUE(second);
  EXPECT_FALSE(quota.enter());
  first.reset();
  EXPECT_EQ(quota.sequences(), 1);
  EXPECT_TRUE(second->grow_to(3));
}

TEST(SequenceQuota, TokensCountWhileTheyWait) {
  SequenceQuota quota(10, 100);
  auto first = quota.enter(), second = quota.enter();
  EXPECT_TRUE(first->queue_tokens(60));
  EXPECT_FALSE(second->queue_tokens(41));
  EXPECT_TRUE(second->queue_tokens(40));
  first->leave_queue();
  first->leave_queue();
  EXPECT_TRUE(first->queue_tokens(60));
  second.reset();
  EXPECT_FALSE(first->queue_tokens(41));
}

TEST(SequenceQuota, MovedTicketsGiveBackOnce) {
  SequenceQuota quota(2, 0);
  {
    auto ticket = *quota.enter();
    const SequenceQuota::Ticket moved = std::move(ticket);
  }
  EXPECT_EQ(quota.sequences(), 0);
}

TEST(SequenceQuota, ManyThreadsNeverExceedIt) {
  SequenceQuota quota(5, 0);
  std::atomic<int> served{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        const auto ticket = quota.enter();
        if (!ticket) continue;
        ++served;
        EXPECT_LE(quota.sequences(), 5);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(served, 0);
  EXPECT_EQ(quota.sequences(), 0);
}

}  // namespace
}  // namespace vortex::server
