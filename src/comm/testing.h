// For tests: ranks that are threads.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "comm/shared_memory.h"

namespace vortex::comm::testing {

/// Ranks of one process that speak through shared memory.
inline std::vector<std::unique_ptr<Communicator>> shared_memory_group(
    int size, std::chrono::milliseconds timeout = kDefaultTimeout) {
  auto segment = Segment::create(size, random_nonce());
  EXPECT_TRUE(segment.ok());
  std::vector<std::unique_ptr<Communicator>> ranks;
  for (int rank = 0; rank < size; ++rank) ranks.push_back(shared_memory_rank(*segment, rank, timeout));
  return ranks;
}

/// body(communicator) on one thread a rank; a rank leaves when its body returns.
template <class Body>
void run_ranks(std::vector<std::unique_ptr<Communicator>> ranks, Body body) {
  std::vector<std::thread> threads;
  for (auto& rank : ranks) threads.emplace_back([&body, own = std::move(rank)] { body(*own); });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace vortex::comm::testing
