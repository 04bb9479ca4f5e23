#include "comm/shared_memory.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "comm/local_group.h"
#include "comm/testing.h"

namespace vortex::comm {
namespace {

using testing::run_ranks;
using testing::shared_memory_group;
using Bytes = std::vector<std::byte>;

std::vector<float> values_of(int rank, size_t size) {
  std::mt19937 random(rank + 1);
  std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
  std::vector<float> values(size);
  for (float& value : values) value = uniform(random) * (rank == 1 ? 1e4F : 1.0F);
  return values;
}

std::vector<float> plain_sum(int ranks, size_t size) {
  std::vector<float> sum = values_of(0, size);
  for (int rank = 1; rank < ranks; ++rank) {
    const std::vector<float> values = values_of(rank, size);
    for (size_t i = 0; i < size; ++i) sum[i] += values[i];
  }
  return sum;
}

class SharedMemory : public ::testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Ranks, SharedMemory, ::testing::Values(1, 2, 3, 4));

TEST_P(SharedMemory, SumsAsAPlainLoop) {
  for (const size_t size : {0, 1, 15, 16'384, 65'537, 3'000'000}) {
    const std::vector<float> expected = plain_sum(GetParam(), size);
    run_ranks(shared_memory_group(GetParam()), [&](Communicator& comm) {
      std::vector<float> data = values_of(comm.rank(), size);
      ASSERT_TRUE(comm.all_reduce_sum(data).ok());
      ASSERT_EQ(data, expected) << size;
    });
  }
}

TEST_P(SharedMemory, GathersUnevenAndEmptyParts) {
  const std::vector<std::vector<int64_t>> cases = {{0, 0, 0, 0}, {5, 0, 1, 300'000}, {0, 1'000'000, 7, 7}};
  for (std::vector<int64_t> sizes : cases) {
    sizes.resize(GetParam());
    Bytes expected;
    for (int rank = 0; rank < GetParam(); ++rank) expected.insert(expected.end(), sizes[rank], std::byte(rank + 1));
    run_ranks(shared_memory_group(GetParam()), [&](Communicator& comm) {
      const Bytes part(sizes[comm.rank()], std::byte(comm.rank() + 1));
      Bytes all(expected.size());
      ASSERT_TRUE(comm.all_gather(part, sizes, all.data()).ok());
      ASSERT_EQ(all, expected);
      Bytes first(comm.rank() == 0 ? expected.size() : 0);
      ASSERT_TRUE(comm.gather(part, sizes, comm.rank() == 0 ? first.data() : nullptr).ok());
      ASSERT_EQ(first, comm.rank() == 0 ? expected : Bytes());
    });
  }
}

TEST_P(SharedMemory, BroadcastsMessagesOfAnyLength) {
  run_ranks(shared_memory_group(GetParam()), [&](Communicator& comm) {
    for (const size_t size : {0, 1, 262'144, 262'145, 5'000'000, 3}) {
      Bytes expected(size);
      for (size_t i = 0; i < size; ++i) expected[i] = static_cast<std::byte>(i * 7 + i / 256);
      Bytes message = comm.rank() == 0 ? expected : Bytes(10);
      ASSERT_TRUE(comm.broadcast(&message).ok());
      ASSERT_EQ(message, expected);
    }
  });
}

/// What a rank holds after operation `seed`, on any communicator.
Bytes random_operation(Communicator& comm, uint32_t seed) {
  std::mt19937 random(seed);
  const auto size = [&] { return static_cast<int64_t>(random() % (seed % 50 == 0 ? 600'000 : 3'000)); };
  switch (random() % 4) {
    case 0: {
      std::vector<float> data(size());
      for (float& value : data) value = static_cast<float>(random() % 1000) + 0.1F * static_cast<float>(comm.rank());
      EXPECT_TRUE(comm.all_reduce_sum(data).ok());
      const auto bytes = std::as_bytes(std::span(data));
      return {bytes.begin(), bytes.end()};
    }
    case 1:
    case 2: {
      const bool all = random() % 2 == 0;
      std::vector<int64_t> sizes(comm.size());
      int64_t total = 0;
      for (int64_t& bytes : sizes) total += bytes = size();
      Bytes part(sizes[comm.rank()]);
      for (size_t i = 0; i < part.size(); ++i) part[i] = static_cast<std::byte>(i * 3 + comm.rank());
      Bytes out(all || comm.rank() == 0 ? total : 0);
      EXPECT_TRUE((all ? comm.all_gather(part, sizes, out.data()) : comm.gather(part, sizes, out.data())).ok());
      return out;
    }
    default: {
      Bytes message(size(), static_cast<std::byte>(random()));
      if (comm.rank() != 0) message.clear();
      EXPECT_TRUE(comm.broadcast(&message).ok());
      return message;
    }
  }
}

TEST(SharedMemoryOrder, TenThousandRandomOperationsAsTheOracle) {
  constexpr int kRanks = 3;
  constexpr int kOperations = 10'000;
  auto oracle = local_group(kRanks);
  auto ranks = shared_memory_group(kRanks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < kRanks; ++rank)
    threads.emplace_back([&, rank] {
      for (int seed = 0; seed < kOperations; ++seed)
        ASSERT_EQ(random_operation(*ranks[rank], seed), random_operation(*oracle[rank], seed)) << seed;
    });
  for (std::thread& thread : threads) thread.join();
}

TEST(SharedMemoryOrder, StepsMayWrapAround) {
  auto segment = Segment::create(2, random_nonce());
  ASSERT_TRUE(segment.ok());
  std::vector<std::unique_ptr<Communicator>> ranks;
  for (int rank = 0; rank < 2; ++rank) {
    (*segment)->state(rank).posted = 0xfffffff0;
    ranks.push_back(shared_memory_rank(*segment, rank));
  }
  run_ranks(std::move(ranks), [](Communicator& comm) {
    for (int i = 0; i < 100; ++i) {
      std::vector<float> data(3, static_cast<float>(i));
      ASSERT_TRUE(comm.all_reduce_sum(data).ok());
      ASSERT_EQ(data, std::vector<float>(3, 2.0F * static_cast<float>(i)));
    }
  });
}

TEST(SharedMemoryFailure, ARankThatLeftIsAnErrorAndItsLastWordIsHeard) {
  auto ranks = shared_memory_group(2);
  Bytes message(3, std::byte{1});
  ASSERT_TRUE(ranks[0]->broadcast(&message).ok());
  ranks[0].reset();
  Bytes heard;
  ASSERT_TRUE(ranks[1]->broadcast(&heard).ok());
  EXPECT_EQ(heard, message);
  for (int again = 0; again < 2; ++again) {
    const Status status = ranks[1]->broadcast(&heard);
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, ErrorCode::kUnavailable);
    EXPECT_EQ(status.error().where, "rank 0");
  }
}

TEST(SharedMemoryFailure, ARankThatLeftEndsTheWaitForAnother) {
  auto ranks = shared_memory_group(3);
  ranks[2].reset();
  const auto begin = std::chrono::steady_clock::now();
  Bytes message;
  const Status status = ranks[1]->broadcast(&message);  // rank 0 never says anything
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().where, "rank 2");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
}

TEST(SharedMemoryFailure, IsToldOnceToARankThatDoesNotAsk) {
  auto segment = Segment::create(3, random_nonce());
  ASSERT_TRUE(segment.ok());
  auto rank = shared_memory_rank(*segment, 0);
  std::atomic<int> times = 0, times_too = 0;
  std::string where;
  rank->on_failure([&](const Error&) { ++times_too; });
  rank->on_failure([&](const Error& error) {
    where = error.where;
    ++times;
  });
  (*segment)->fail({1, FailureKind::kExited, 7});
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (times == 0 && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(250));
  EXPECT_EQ(times, 1);
  EXPECT_EQ(times_too, 1);
  EXPECT_EQ(where, "rank 1");
  std::string late;
  rank->on_failure([&](const Error& error) { late = error.message; });
  EXPECT_EQ(late, "ended with exit status 7");
}

/// One who is present and never beats is one that was stopped.
TEST(SharedMemoryFailure, ASilentRankIsNoticedInTime) {
  auto segment = Segment::create(2, random_nonce());
  ASSERT_TRUE(segment.ok());
  (*segment)->set_presence(1, Presence::kPresent);
  auto rank = shared_memory_rank(*segment, 0, std::chrono::milliseconds(1000));
  const auto begin = std::chrono::steady_clock::now();
  std::vector<float> data(10);
  const Status status = rank->all_reduce_sum(data);
  const auto waited = std::chrono::steady_clock::now() - begin;
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().where, "rank 1");
  EXPECT_EQ(status.error().message, "has not answered for 1 s");
  EXPECT_GE(waited, std::chrono::milliseconds(900));
  EXPECT_LT(waited, std::chrono::seconds(4));
}

TEST(SharedMemoryFailure, WaitingCostsNoProcessorTime) {
  auto ranks = shared_memory_group(2);
  timespec begin;
  timespec end;
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
  std::thread waiting([&] {
    Bytes message;
    EXPECT_TRUE(ranks[1]->broadcast(&message).ok());
  });
  std::this_thread::sleep_for(std::chrono::seconds(1));
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
  Bytes message;
  ASSERT_TRUE(ranks[0]->broadcast(&message).ok());
  waiting.join();
  const double busy =
      static_cast<double>(end.tv_sec - begin.tv_sec) + 1e-9 * static_cast<double>(end.tv_nsec - begin.tv_nsec);
  EXPECT_LT(busy, 0.05);
}

}  // namespace
}  // namespace vortex::comm
