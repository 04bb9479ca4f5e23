#include "comm/segment.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "comm/build_id.h"

namespace vortex::comm {
namespace {

UniqueFd copy_of(int fd) { return UniqueFd(::dup(fd)); }

/// What attach says after `spoil` changed the header of a segment for 2 ranks.
template <class Spoil>
std::string refusal_after(Spoil spoil) {
  const Nonce nonce = random_nonce();
  auto segment = Segment::create(2, nonce);
  EXPECT_TRUE(segment.ok());
  spoil((*segment)->header());
  const auto attached = Segment::attach(copy_of((*segment)->fd()), 2, nonce);
  return attached.ok() ? "" : attached.error().to_string();
}

TEST(Segment, IsSeenByAllWhoAttach) {
  const Nonce nonce = random_nonce();
  auto segment = Segment::create(3, nonce);
  ASSERT_TRUE(segment.ok());
  auto attached = Segment::attach(copy_of((*segment)->fd()), 3, nonce);
  ASSERT_TRUE(attached.ok()) << attached.error().to_string();
  (*segment)->slot(2, 1)[Segment::kSlotBytes - 1] = std::byte{7};
  EXPECT_EQ((*attached)->slot(2, 1)[Segment::kSlotBytes - 1], std::byte{7});
  EXPECT_EQ((*attached)->slot(2, 3), (*attached)->slot(2, 1));
  EXPECT_NE((*attached)->slot(2, 2), (*attached)->slot(2, 1));

  EXPECT_EQ((*attached)->presence(1), Presence::kAbsent);
  (*segment)->set_presence(1, Presence::kPresent);
  EXPECT_EQ((*attached)->presence(1), Presence::kPresent);
}

TEST(Segment, CannotBeCutShort) {
  auto segment = Segment::create(2, random_nonce());
  ASSERT_TRUE(segment.ok());
  EXPECT_NE(::ftruncate((*segment)->fd(), 4096), 0);
}

TEST(Segment, RefusesAnotherStart) {
  auto segment = Segment::create(2, {1, 2});
  ASSERT_TRUE(segment.ok());
  EXPECT_TRUE(Segment::attach(copy_of((*segment)->fd()), 2, {1, 2}).ok());
  const auto refused = Segment::attach(copy_of((*segment)->fd()), 2, {1, 3});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().to_string(),
            "rank memory: is of another start (all ranks must be started together, by the same program)");
}

TEST(Segment, RefusesWhatItDoesNotUnderstand) {
  EXPECT_EQ(refusal_after([](SegmentHeader&) {}), "");
  EXPECT_THAT(refusal_after([](SegmentHeader& header) { ++header.magic; }), testing::HasSubstr("not of this program"));
  EXPECT_THAT(refusal_after([](SegmentHeader& header) { header.layout = 9; }), testing::HasSubstr("layout 9, not 2"));
  EXPECT_THAT(refusal_after([](SegmentHeader& header) { std::memset(header.build, 'x', sizeof header.build); }),
              testing::HasSubstr("is of build xxx"));
  EXPECT_THAT(refusal_after([](SegmentHeader& header) { header.ranks = 3; }), testing::HasSubstr("for 3 ranks, not 2"));
  EXPECT_THAT(refusal_after([](SegmentHeader& header) { header.slot_bytes = 1 << 30; }),
              testing::HasSubstr("rank memory"));
}

TEST(Segment, RefusesAnotherNumberOfRanksAndOtherFiles) {
  auto segment = Segment::create(2, {1, 2});
  ASSERT_TRUE(segment.ok());
  EXPECT_FALSE(Segment::attach(copy_of((*segment)->fd()), 3, {1, 2}).ok());
  EXPECT_FALSE(Segment::attach(copy_of((*segment)->fd()), 0, {1, 2}).ok());
  EXPECT_FALSE(Segment::attach(UniqueFd(::memfd_create("other", MFD_CLOEXEC)), 2, {1, 2}).ok());
  EXPECT_FALSE(Segment::attach(UniqueFd(), 2, {1, 2}).ok());
}

TEST(Segment, KeepsTheFirstFailure) {
  auto segment = Segment::create(3, random_nonce());
  ASSERT_TRUE(segment.ok());
  EXPECT_FALSE((*segment)->failure());
  (*segment)->fail({2, FailureKind::kKilled, 9});
  (*segment)->fail({1, FailureKind::kSilent, 3});
  EXPECT_EQ((*segment)->failure()->error().to_string(),
            "rank 2: was killed by signal 9 (Killed) (the ranks of a model end together: start the command again)");
}

TEST(Nonce, IsRandomAndSurvivesText) {
  const Nonce nonce = random_nonce();
  EXPECT_NE(nonce, random_nonce());
  EXPECT_EQ(nonce_of(to_text(nonce)), nonce);
  EXPECT_EQ(nonce_of(to_text({1, 2})), (Nonce{1, 2}));
  EXPECT_FALSE(nonce_of(""));
  EXPECT_FALSE(nonce_of(std::string(31, '0')));
  EXPECT_FALSE(nonce_of("0000000000000000000000000000000g"));
  EXPECT_FALSE(nonce_of(std::string(33, '0')));
}

TEST(BuildId, IsTheSameInOneProgram) {
  EXPECT_FALSE(build_id().empty());
  EXPECT_LT(build_id().size(), sizeof(SegmentHeader::build));
  EXPECT_EQ(build_id(), build_id());
}

}  // namespace
}  // namespace vortex::comm
