#include "comm/local_group.h"

#include <gtest/gtest.h>

#include "comm/testing.h"

namespace vortex::comm {
namespace {

using Bytes = std::vector<std::byte>;

using testing::run_ranks;

TEST(LocalGroup, SumsInTheOrderOfRanks) {
  // 1e8 + 1 - 1e8 is 0 in float32, and 1 in another order.
  const float values[] = {1e8F, 1.0F, -1e8F};
  run_ranks(local_group(3), [&](Communicator& comm) {
    std::vector<float> data(5, values[comm.rank()]);
    ASSERT_TRUE(comm.all_reduce_sum(data).ok());
    EXPECT_EQ(data, std::vector<float>(5, 0.0F));
  });
}

TEST(LocalGroup, GathersUnevenParts) {
  const std::vector<int64_t> sizes = {2, 0, 3};
  run_ranks(local_group(3), [&](Communicator& comm) {
    const Bytes part(sizes[comm.rank()], static_cast<std::byte>(comm.rank() + 1));
    const Bytes expected = {std::byte{1}, std::byte{1}, std::byte{3}, std::byte{3}, std::byte{3}};
    Bytes all(5);
    ASSERT_TRUE(comm.all_gather(part, sizes, all.data()).ok());
    EXPECT_EQ(all, expected);
    Bytes first(comm.rank() == 0 ? 5 : 0);
    ASSERT_TRUE(comm.gather(part, sizes, comm.rank() == 0 ? first.data() : nullptr).ok());
    EXPECT_EQ(first, comm.rank() == 0 ? expected : Bytes());
  });
}

TEST(LocalGroup, BroadcastsMessagesOfAnyLength) {
  run_ranks(local_group(2), [&](Communicator& comm) {
    for (const size_t size : {0, 1, 1000}) {
      Bytes message(comm.rank() == 0 ? size : 7, std::byte{9});
      ASSERT_TRUE(comm.broadcast(&message).ok());
      EXPECT_EQ(message, Bytes(size, std::byte{9}));
    }
  });
}

TEST(LocalGroup, ARankThatLeftIsAnErrorAndItsLastWordIsHeard) {
  auto ranks = local_group(2);
  std::string told, told_too;
  ranks[1]->on_failure([&](const Error& error) { told = error.to_string(); });
  ranks[1]->on_failure([&](const Error& error) { told_too = error.to_string(); });
  Bytes message(3, std::byte{1});
  ASSERT_TRUE(ranks[0]->broadcast(&message).ok());
  ranks[0].reset();
  EXPECT_TRUE(told.starts_with("rank 0: has left")) << told;
  EXPECT_EQ(told_too, told);

  Bytes heard;
  ASSERT_TRUE(ranks[1]->broadcast(&heard).ok());
  EXPECT_EQ(heard, message);
  const Status status = ranks[1]->broadcast(&heard);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(status.error().where, "rank 0");
}

}  // namespace
}  // namespace vortex::comm
