#include "kv/index/prefix_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "base/files.h"
#include "kv/index/sequence_table.h"

namespace vortex::kv {
namespace {

constexpr int kSlabTokens = 4;

std::vector<BlockHash> hashes_of(const std::vector<int32_t>& tokens, std::string_view salt = "") {
  std::vector<BlockHash> hashes;
  extend_block_hashes(salt, tokens, kSlabTokens, &hashes);
  return hashes;
}

std::string hex(const BlockHash& hash) {
  std::string out;
  for (uint8_t byte : hash) out += fmt::format("{:02x}", byte);
  return out;
}

TEST(BlockHashTest, IsTheShaOfTheOneBeforeAndTheTokens) {
  const std::vector<int32_t> tokens = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const std::vector<BlockHash> hashes = hashes_of(tokens, "salt");
  ASSERT_EQ(hashes.size(), 2u) << "the tail has none";
  std::string message;
  for (char c : sha256_of("salt")) message += c;
  // sha256_of gives hexadecimal digits: back to bytes, then the four tokens.
  std::string bytes;
  for (size_t i = 0; i < message.size(); i += 2)
    bytes += static_cast<char>(std::stoi(message.substr(i, 2), nullptr, 16));
  bytes.append(reinterpret_cast<const char*>(tokens.data()), kSlabTokens * sizeof(int32_t));
  EXPECT_EQ(hex(hashes[0]), sha256_of(bytes));
}

TEST(BlockHashTest, SaltAndEveryEarlierTokenCount) {
  const std::vector<int32_t> a = {1, 2, 3, 4, 5, 6, 7, 8}, b = {9, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_NE(hashes_of(a)[1], hashes_of(b)[1]);
  EXPECT_NE(hashes_of(a, "x")[0], hashes_of(a, "y")[0]);
  EXPECT_EQ(hashes_of(a, "x"), hashes_of(a, "x"));
}

TEST(BlockHashTest, ExtendingEqualsStartingOver) {
  std::vector<int32_t> tokens(64);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i * i);
  std::vector<BlockHash> grown;
  for (size_t n = 0; n <= tokens.size(); n += 3)
    extend_block_hashes("s", std::span(tokens).first(n), kSlabTokens, &grown);
  extend_block_hashes("s", tokens, kSlabTokens, &grown);
  EXPECT_EQ(grown, hashes_of(tokens, "s"));
}

class PrefixCacheTest : public ::testing::Test {
 protected:
  /// A sequence computed `tokens`; its slabs go to the tree and the sequence goes away.
  void remember(const std::vector<int32_t>& tokens) {
    SequenceTable table(&allocator_, kSlabTokens);
    ASSERT_TRUE(table.reserve(static_cast<int64_t>(tokens.size())));
    const auto hashes = hashes_of(tokens);
    cache_.insert(hashes, table.slabs().first(hashes.size()));
  }
  size_t matched(const std::vector<int32_t>& tokens) { return cache_.match(hashes_of(tokens)).size(); }
  void check() {
    const Status tree = cache_.check_integrity(), slabs = allocator_.check_integrity();
    ASSERT_TRUE(tree.ok()) << tree.error().to_string();
    ASSERT_TRUE(slabs.ok()) << slabs.error().to_string();
  }

  SlabAllocator allocator_{8};
  PrefixCache cache_{&allocator_};
};

TEST_F(PrefixCacheTest, FindsTheLongestPrefixOfWholeSlabs) {
  remember({1, 1, 1, 1, 2, 2, 2, 2, 3});
  EXPECT_EQ(matched({1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3}), 2u);
  EXPECT_EQ(matched({1, 1, 1, 1, 2, 2, 2, 9}), 1u);
  EXPECT_EQ(matched({2, 2, 2, 2}), 0u) << "a slab is known only after what came before it";
  EXPECT_EQ(allocator_.free_slabs(), 6);
  EXPECT_EQ(allocator_.idle_slabs(), 2);
  check();
}

TEST_F(PrefixCacheTest, SharedSlabsStayWhileASequenceHoldsThem) {
  remember({1, 1, 1, 1, 2, 2, 2, 2});
  {
    SequenceTable table(&allocator_, kSlabTokens);
    table.share(cache_.match(hashes_of({1, 1, 1, 1})));
    EXPECT_EQ(cache_.evict(8), 1) << "only the end of the branch is idle";
    EXPECT_EQ(matched({1, 1, 1, 1}), 1u);
  }
  EXPECT_EQ(cache_.evict(8), 1);
  EXPECT_EQ(allocator_.free_slabs(), 8);
  check();
}

TEST_F(PrefixCacheTest, GivesUpTheLeastRecentlyUsedBranchFirst) {
  remember({1, 1, 1, 1, 2, 2, 2, 2});
  remember({1, 1, 1, 1, 3, 3, 3, 3});
  remember({4, 4, 4, 4});
  EXPECT_EQ(matched({1, 1, 1, 1, 2, 2, 2, 2}), 2u);  // used again: now the youngest
  EXPECT_EQ(cache_.evict(2), 2);
  EXPECT_EQ(matched({1, 1, 1, 1, 3, 3, 3, 3}), 1u) << "the end of the oldest branch went";
  EXPECT_EQ(matched({4, 4, 4, 4}), 0u);
  EXPECT_EQ(matched({1, 1, 1, 1, 2, 2, 2, 2}), 2u);
  check();
}

TEST_F(PrefixCacheTest, ASecondCopyIsLeftToItsOwner) {
  remember({1, 1, 1, 1});
  SequenceTable copy(&allocator_, kSlabTokens);
  ASSERT_TRUE(copy.reserve(8));
  cache_.insert(hashes_of({1, 1, 1, 1, 5, 5, 5, 5}), copy.slabs());
  EXPECT_EQ(cache_.size(), 2);
  EXPECT_NE(cache_.match(hashes_of({1, 1, 1, 1}))[0], copy.slabs()[0]);
  copy.clear();
  EXPECT_EQ(allocator_.free_slabs(), 6) << "the duplicate is free again";
  check();
}

/// Against a plain model: a set of known prefixes, never evicted while something below is known.
TEST_F(PrefixCacheTest, RandomUseKeepsTheTreeWhole) {
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    std::vector<int32_t> tokens;
    for (int slab = 0, n = 1 + static_cast<int>(random() % 3); slab < n; ++slab)
      tokens.insert(tokens.end(), kSlabTokens, static_cast<int32_t>(random() % 3));
    SequenceTable table(&allocator_, kSlabTokens);
    table.share(cache_.match(hashes_of(tokens)));
    const int64_t missing = table.missing(static_cast<int64_t>(tokens.size()));
    if (missing > allocator_.free_slabs()) cache_.evict(static_cast<int32_t>(missing) - allocator_.free_slabs());
    ASSERT_TRUE(table.reserve(static_cast<int64_t>(tokens.size()))) << "everything else is idle";
    cache_.insert(hashes_of(tokens), table.slabs());
    ASSERT_EQ(matched(tokens), tokens.size() / kSlabTokens);
    check();
  }
}

}  // namespace
}  // namespace vortex::kv
