#include "comm/rank_variable.h"

#include <gtest/gtest.h>

namespace vortex::comm {
namespace {

TEST(RankVariable, IsReadAsItWasWritten) {
  const RankPlace place{.rank = 3, .size = 4, .fd = 17, .threads = 12, .nonce = {0x12, 0xfedcba9876543210}};
  EXPECT_EQ(to_text(place), "3/4 fd=17 threads=12 nonce=0000000000000012fedcba9876543210");
  const auto read = rank_place_of(to_text(place));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->rank, 3);
  EXPECT_EQ(read->size, 4);
  EXPECT_EQ(read->fd, 17);
  EXPECT_EQ(read->threads, 12);
  EXPECT_EQ(read->nonce, place.nonce);
}

TEST(RankVariable, AnythingElseIsRefused) {
  const std::string nonce = "nonce=0000000000000012fedcba9876543210";
  for (const std::string& text :
       {std::string(), std::string("1/2"), "0/2 fd=3 threads=1 " + nonce, "2/2 fd=3 threads=1 " + nonce,
        "-1/2 fd=3 threads=1 " + nonce, "1/1 fd=3 threads=1 " + nonce, "1/257 fd=3 threads=1 " + nonce,
        "1/2 fd=2 threads=1 " + nonce, "1/2 fd=3 threads=0 " + nonce, "1/2 fd=3 threads=1 " + nonce + "0",
        "1/2 fd=99999999999 threads=1 " + nonce, "01/2 fd=3 threads=1 " + nonce,
        std::string("1/2 fd=3 threads=1 nonce=00")}) {
    const auto read = rank_place_of(text);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().where, "VORTEX_RANK");
    EXPECT_EQ(read.error().code, ErrorCode::kConfiguration);
  }
}

}  // namespace
}  // namespace vortex::comm
