#include "text/utf8.h"

#include <gtest/gtest.h>

namespace vortex::text {
namespace {

constexpr const char* kFffd = "\xEF\xBF\xBD";

TEST(Utf8, RoundTripsEveryLength) {
  for (char32_t code_point : {0x0, 0x41, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF}) {
    std::string text;
    append_utf8(code_point, text);
    const Utf8Unit unit = utf8_unit(text, 0);
    EXPECT_EQ(unit.kind, Utf8Unit::kCharacter);
    EXPECT_EQ(unit.code_point, code_point);
    EXPECT_EQ(unit.size, text.size());
    EXPECT_TRUE(is_valid_utf8(text));
  }
}

TEST(Utf8, RefusesIllFormedSequences) {
  for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "abcdefgh\xE2\x82"}) {
    EXPECT_FALSE(is_valid_utf8(bad));
  }
}

// The example of the Unicode standard 15.0, table 3-11: one U+FFFD for each maximal subpart.
TEST(Utf8, RepairsByMaximalSubparts) {
  const std::string f = kFffd;
  EXPECT_EQ(repaired_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), f + f + f + f + "A");
  EXPECT_EQ(repaired_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), f + f + f + f + f + f + f + f + "A");
  EXPECT_EQ(repaired_utf8("ok\xF0\x9F\x99"), "ok" + f);
}

TEST(Utf8, LeavesAnIncompleteEnd) {
  std::string out;
  EXPECT_EQ(append_repaired("a\xF0\x9F\x99", out), 1u);
  EXPECT_EQ(out, "a");
}

}  // namespace
}  // namespace vortex::text
