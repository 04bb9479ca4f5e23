#include "grammar/char_class.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "text/utf8.h"

namespace vortex::grammar {
namespace {

std::string utf8_of(char32_t code_point) {
  std::string bytes;
  text::append_utf8(code_point, bytes);
  return bytes;
}

bool spells(const std::vector<ByteSequence>& sequences, const std::string& bytes) {
  for (const ByteSequence& sequence : sequences) {
    bool fits = sequence.size() == bytes.size();
    for (size_t i = 0; fits && i < bytes.size(); ++i) {
      const auto byte = static_cast<uint8_t>(bytes[i]);
      fits = sequence[i].first <= byte && byte <= sequence[i].last;
    }
    if (fits) return true;
  }
  return false;
}

TEST(CharClass, RangesAreMergedAndSorted) {
  CharClass chars = {{'x', 'z'}, {'a', 'c'}, {'d', 'f'}, {'b', 'e'}};
  EXPECT_EQ(chars.ranges(), (std::vector<CodePointRange>{{'a', 'f'}, {'x', 'z'}}));
  chars.add({'g', 'w'});
  EXPECT_EQ(chars.ranges(), (std::vector<CodePointRange>{{'a', 'z'}}));
}

TEST(CharClass, SurrogatesAreNeverMembers) {
  const CharClass any = CharClass::any();
  EXPECT_EQ(any.ranges(), (std::vector<CodePointRange>{{0, 0xD7FF}, {0xE000, 0x10FFFF}}));
  EXPECT_TRUE((CharClass{{0xD800, 0xDFFF}}).empty());
  EXPECT_TRUE(any.complement().empty());
}

TEST(CharClass, SetAlgebra) {
  const CharClass vowels = {{'a', 'a'}, {'e', 'e'}, {'i', 'i'}};
  EXPECT_EQ((CharClass{{'a', 'f'}}).without(vowels).ranges(), (std::vector<CodePointRange>{{'b', 'd'}, {'f', 'f'}}));
  EXPECT_EQ(vowels.complement().complement().ranges(), vowels.ranges());
  EXPECT_FALSE(vowels.complement().contains('e'));
  EXPECT_TRUE(vowels.complement().contains(0x10FFFF));
}

// Each character near a border of lengths and blocks is spelled exactly when it is a member.
TEST(CharClass, Utf8SequencesSpellTheMembersOnly) {
  const std::vector<char32_t> borders = {0,      0x41,   0x7F,   0x80,   0xBF,    0xC0,    0x7FF,   0x800,   0xFFF,
                                         0x1000, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x3FFFF, 0x40000, 0xFFFFF, 0x10FFFF};
  for (const char32_t first : borders) {
    for (const char32_t last : borders) {
      if (first > last) continue;
      const CharClass chars = {{first, last}};
      const auto sequences = utf8_sequences(chars);
      for (const char32_t border : borders) {
        for (int64_t c = std::max<int64_t>(0, int64_t{border} - 1); c <= std::min<int64_t>(0x10FFFF, border + 1); ++c) {
          if (c >= 0xD800 && c <= 0xDFFF) continue;
          const auto code_point = static_cast<char32_t>(c);
          ASSERT_EQ(spells(sequences, utf8_of(code_point)), chars.contains(code_point))
              << fmt::format("{:x}-{:x}: {:x}", uint32_t{first}, uint32_t{last}, c);
        }
      }
    }
  }
}

}  // namespace
}  // namespace vortex::grammar
