#include "server/request/json_text.h"

#include <gtest/gtest.h>

namespace vortex::server {
namespace {

std::string nested(int depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(JsonText, ReadsWhatNlohmannReads) {
  const std::string text =
      R"({"z":[1,-2,3.5,1e3,18446744073709551615,true,false,null,"\u00e9\ud83d\ude00\n"],"a":{"b":{},"c":[]},"":0})";
  const auto parsed = parse_body(text);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(*parsed, Json::parse(text));
  EXPECT_EQ(to_text(*parsed), to_text(Json::parse(text)));  // the order of keys too
}

TEST(JsonText, NestsSixtyFourDeepAndNoDeeper) {
  EXPECT_TRUE(parse_body(nested(kMaxJsonDepth)).ok());
  const auto refused = parse_body(R"({"a":)" + nested(kMaxJsonDepth) + "}");
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().param, "a");
  EXPECT_NE(refused.error().message.find("at most 64"), std::string::npos);
  EXPECT_FALSE(parse_body(std::string(1'000'000, '[')).ok());
}

TEST(JsonText, SaysTheLineAndColumnOfAMistake) {
  const std::pair<const char*, const char*> cases[] = {
      {"{\"a\": x}", "line 1, column 7"}, {"{\n  \"a\": 1,\n  b: 2}", "line 3, column 3"},
      {"", "line 1, column 1"},           {"\xEF\xBB\xBF{}", "line 1, column 1"},
      {"{} {}", "line 1, column 4"},
  };
  for (const auto& [text, place] : cases) {
    const auto refused = parse_body(text);
    ASSERT_FALSE(refused.ok()) << text;
    EXPECT_EQ(refused.error().status, 400);
    EXPECT_EQ(refused.error().code, "invalid_json");
    EXPECT_NE(refused.error().message.find(place), std::string::npos) << refused.error().message;
  }
}

TEST(JsonText, RefusesRepeatedKeysOfOneObjectOnly) {
  EXPECT_FALSE(parse_body(R"({"a":1,"b":2,"a":3})").ok());
  EXPECT_TRUE(parse_body(R"({"a":{"a":1},"b":[{"a":1},{"a":2}]})").ok());
}

TEST(JsonText, RefusesHalvesOfCharacters) {
  for (const char* text :
       {R"("\ud800")", R"("\udc00")", R"("\ud800\u0041")", "\"\xff\"", "\"\xe2\x82\"", "\"\xc0\xaf\""})
    EXPECT_FALSE(parse_body(text).ok()) << text;
}

TEST(JsonText, WritesValidUtf8Always) { EXPECT_EQ(to_text(Json("a\xff")), "\"a\xEF\xBF\xBD\""); }

TEST(JsonText, MembersOfWhatIsNoObjectAreNull) {
  EXPECT_TRUE(member(Json(3), "a").is_null());
  EXPECT_TRUE(member(Json{{"b", 1}}, "a").is_null());
  EXPECT_EQ(member(Json{{"a", 1}}, "a"), 1);
}

}  // namespace
}  // namespace vortex::server
