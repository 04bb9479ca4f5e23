#include "text/jinja/marked_string.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vortex::text::jinja {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

MarkedString mixed() {
  MarkedString string = MarkedString::trusted("ab");
  string.append_untrusted("CD");
  string.append("ef");
  string.append_untrusted("G");
  return string;
}

TEST(MarkedString, RemembersWhatStrangersWrote) {
  EXPECT_EQ(mixed().text(), "abCDefG");
  EXPECT_THAT(mixed().marks(), ElementsAre(TextRange{2, 4}, TextRange{6, 7}));
  EXPECT_FALSE(mixed().is_untrusted(1));
  EXPECT_TRUE(mixed().is_untrusted(2));
  EXPECT_TRUE(mixed().is_untrusted(3));
  EXPECT_FALSE(mixed().is_untrusted(4));
}

TEST(MarkedString, SlicesKeepTheMarksInside) {
  EXPECT_THAT(mixed().slice(3, 7).marks(), ElementsAre(TextRange{0, 1}, TextRange{3, 4}));
  EXPECT_THAT(mixed().slice(4, 6).marks(), IsEmpty());
  EXPECT_EQ(mixed().slice(3, 7).text(), "DefG");
}

TEST(MarkedString, JoinsMarksThatTouch) {
  MarkedString string = MarkedString::untrusted("x");
  string.append(MarkedString::untrusted("y"));
  string.append(MarkedString::untrusted(""));
  EXPECT_THAT(string.marks(), ElementsAre(TextRange{0, 2}));
}

}  // namespace
}  // namespace vortex::text::jinja
