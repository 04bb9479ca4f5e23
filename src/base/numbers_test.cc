#include "base/numbers.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace vortex {
namespace {

constexpr uint64_t kMaxU64 = std::numeric_limits<uint64_t>::max();
constexpr int64_t kMaxI64 = std::numeric_limits<int64_t>::max();
constexpr int64_t kMinI64 = std::numeric_limits<int64_t>::min();

TEST(Numbers, AddStopsAtTheEdge) {
  EXPECT_EQ(checked_add<uint64_t>(kMaxU64 - 1, 1), kMaxU64);
  EXPECT_EQ(checked_add<uint64_t>(kMaxU64, 1), std::nullopt);
  EXPECT_EQ(checked_add<int64_t>(kMaxI64, 1), std::nullopt);
  EXPECT_EQ(checked_add<int64_t>(kMinI64, -1), std::nullopt);
  EXPECT_EQ(checked_add<int64_t>(-7, 3), -4);
}

TEST(Numbers, MulStopsAtTheEdge) {
  EXPECT_EQ(checked_mul<uint64_t>(uint64_t{1} << 32, (uint64_t{1} << 32) - 1), 0xffff'ffff'0000'0000u);
  EXPECT_EQ(checked_mul<uint64_t>(uint64_t{1} << 32, uint64_t{1} << 32), std::nullopt);
  EXPECT_EQ(checked_mul<int64_t>(kMinI64, -1), std::nullopt);
  EXPECT_EQ(checked_mul<int64_t>(-3, 5), -15);
}

}  // namespace
}  // namespace vortex
