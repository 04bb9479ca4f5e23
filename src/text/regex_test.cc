#include "text/regex.h"

#include <gmock/gmock.h>

#include <chrono>

namespace vortex::text {
namespace {

std::vector<std::string> matches(std::string_view pattern, const std::string& text) {
  std::vector<std::string> out;
  for (const TextRange& range : Regex::compile(pattern).value().find_all(text))
    out.push_back(text.substr(range.begin, range.size()));
  return out;
}

TEST(Regex, FindsFromLeftToRight) {
  EXPECT_THAT(matches(R"(\p{L}+|\s)", "ab \u00e9c1d"), testing::ElementsAre("ab", " ", "\u00e9c", "d"));
  EXPECT_THAT(matches("x*", "axb"), testing::ElementsAre("", "x", ""));
}

/// The pattern passes the probes at load: they hold no cyrillic letters.
TEST(Regex, HostileTextEndsInTime) {
  const Regex regex = Regex::compile("(?:\\p{Cyrillic}{1,18}){1,4}!|.").value();
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "\u0434";
  const auto start = std::chrono::steady_clock::now();
  const auto found = regex.find_all(text);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
  EXPECT_LT(found.size(), 20'000u) << "the list ends early";
  EXPECT_EQ(regex.find_all("a!").size(), 2u) << "an easy text is not affected";
}

TEST(Regex, LongHonestTextIsReadToItsEnd) {
  const Regex regex = Regex::compile(R"(\s+(?!\S)|\s+|[^\s]+)").value();
  const std::string spaces(2'000'000, ' ');
  EXPECT_EQ(regex.find_all(spaces + "x").size(), 3u);
  EXPECT_EQ(regex.find_all(std::string(2'000'000, 'a')).size(), 1u);
}

}  // namespace
}  // namespace vortex::text
