#include <gtest/gtest.h>

#include <set>

#include "kv/index/sequence_table.h"
#include "kv/index/slab_allocator.h"

namespace vortex::kv {
namespace {

TEST(SlabAllocatorTest, HandsOutEachSlabOnce) {
  SlabAllocator allocator(5);
  std::set<SlabId> seen;
  for (int i = 0; i < 5; ++i) seen.insert(*allocator.allocate());
  EXPECT_EQ(seen, (std::set<SlabId>{0, 1, 2, 3, 4}));
  EXPECT_FALSE(allocator.allocate().has_value());
  EXPECT_TRUE(allocator.check_integrity().ok());
}

TEST(SlabAllocatorTest, SharedSlabIsFreedByTheLastOwner) {
  SlabAllocator allocator(1);
  const SlabId slab = *allocator.allocate();
  allocator.retain(slab);
  allocator.release(slab);
  EXPECT_EQ(allocator.free_slabs(), 0);
  allocator.release(slab);
  EXPECT_EQ(allocator.free_slabs(), 1);
  EXPECT_TRUE(allocator.check_integrity().ok());
}

TEST(SlabAllocatorDeathTest, ReleasingAFreeSlabIsABug) {
  SlabAllocator allocator(1);
  EXPECT_DEATH(allocator.release(0), "free already");
}

TEST(SequenceTableTest, ReservesWholeSlabsOrNothing) {
  SlabAllocator allocator(4);
  SequenceTable a(&allocator, 16), b(&allocator, 16);
  EXPECT_TRUE(a.reserve(33));
  EXPECT_EQ(a.slabs().size(), 3u);
  EXPECT_TRUE(a.reserve(48));
  EXPECT_EQ(a.slabs().size(), 3u) << "48 tokens fit what is there";
  EXPECT_FALSE(b.reserve(17));
  EXPECT_EQ(b.slabs().size(), 0u);
  EXPECT_EQ(allocator.free_slabs(), 1);
}

TEST(SequenceTableTest, GivesItsSlabsBack) {
  SlabAllocator allocator(4);
  {
    SequenceTable a(&allocator, 16);
    ASSERT_TRUE(a.reserve(64));
  }
  EXPECT_EQ(allocator.free_slabs(), 4);
  EXPECT_TRUE(allocator.check_integrity().ok());
}

}  // namespace
}  // namespace vortex::kv
