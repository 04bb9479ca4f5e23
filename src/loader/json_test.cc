#include "loader/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vortex {
namespace {

using ::testing::HasSubstr;

std::string nested(int depth) {
  return std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']');
}

std::string refusal(const std::string& text, int depth = kMaxJsonDepth) {
  const auto value = parse_json(text, "x.json", depth);
  return value.ok() ? "parsed" : value.error().to_string();
}

TEST(Json, ParsesPlainValues) {
  const auto value = parse_json(R"({"a": [1, 2.5, null], "b": {"a": "x"}})", "x.json");
  ASSERT_TRUE(value.ok());
  EXPECT_EQ((*value)["a"][1], 2.5);
  EXPECT_EQ((*value)["b"]["a"], "x");
}

TEST(Json, CapsTheDepth) {
  EXPECT_EQ(refusal(nested(64)), "parsed");
  EXPECT_THAT(refusal(nested(65)), HasSubstr("x.json: JSON nests deeper than 64 levels"));
  EXPECT_THAT(refusal(std::string(1 << 20, '[')), HasSubstr("nests deeper"));
  EXPECT_THAT(refusal("[[[]]]", 2), HasSubstr("deeper than 2 levels"));
}

TEST(Json, RefusesARepeatedKey) {
  EXPECT_THAT(refusal(R"({"a": 1, "b": {"a": 2, "a": 3}})"), HasSubstr("the key 'a' comes twice"));
}

TEST(Json, SaysWhereTheSyntaxBreaks) {
  EXPECT_THAT(refusal("{\"a\": }"), HasSubstr("not valid JSON at byte 7"));
  EXPECT_THAT(refusal(""), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("{\"\xff\": 1}"), HasSubstr("not valid JSON at byte 3"));
  EXPECT_THAT(refusal("[1e999]"), HasSubstr("number out of range"));
}

}  // namespace
}  // namespace vortex
