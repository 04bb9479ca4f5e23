#include "grammar/char_class.h"

#include <algorithm>
#include <string>

#include "text/utf8.h"

namespace vortex::grammar {
namespace {

constexpr CodePointRange kSurrogates = {0xD800, 0xDFFF};
constexpr char32_t kLast = 0x10FFFF;

std::string utf8_of(char32_t code_point) {
  std::string bytes;
  text::append_utf8(code_point, bytes);
  return bytes;
}

// `first` and `last` have encodings of the same length. Splits until every trailing byte but those of a full block
// is the same in both, so that the ranges byte by byte hold nothing else.
void add_sequences(char32_t first, char32_t last, size_t length, std::vector<ByteSequence>& out) {
  for (size_t tail = 1; tail < length; ++tail) {
    const char32_t block = (char32_t{1} << (6 * tail)) - 1;
    if ((first & ~block) == (last & ~block)) continue;
    if ((first & block) != 0) {
      add_sequences(first, first | block, length, out);
      return add_sequences((first | block) + 1, last, length, out);
    }
    if ((last & block) != block) {
      add_sequences(first, (last & ~block) - 1, length, out);
      return add_sequences(last & ~block, last, length, out);
    }
  }
  const std::string low = utf8_of(first), high = utf8_of(last);
  ByteSequence sequence;
  for (size_t i = 0; i < length; ++i) sequence.push_back({static_cast<uint8_t>(low[i]), static_cast<uint8_t>(high[i])});
  out.push_back(std::move(sequence));
}

}  // namespace

CharClass::CharClass(std::initializer_list<CodePointRange> ranges) {
  for (const CodePointRange& range : ranges) add(range);
}

CharClass CharClass::any() { return CharClass{{0, kLast}}; }

void CharClass::add(CodePointRange range) {
  if (range.first < kSurrogates.first && range.last > kSurrogates.last) {
    add({range.first, kSurrogates.first - 1});
    return add({kSurrogates.last + 1, range.last});
  }
  if (range.first >= kSurrogates.first && range.first <= kSurrogates.last) range.first = kSurrogates.last + 1;
  if (range.last >= kSurrogates.first && range.last <= kSurrogates.last) range.last = kSurrogates.first - 1;
  range.last = std::min(range.last, kLast);
  if (range.first > range.last) return;
  auto begin = std::lower_bound(ranges_.begin(), ranges_.end(), range.first,
                                [](const CodePointRange& r, char32_t first) { return r.last + 1 < first; });
  auto end = begin;
  for (; end != ranges_.end() && end->first <= range.last + 1; ++end) {
    range.first = std::min(range.first, end->first);
    range.last = std::max(range.last, end->last);
  }
  ranges_.insert(ranges_.erase(begin, end), range);
}

void CharClass::add(const CharClass& other) {
  for (const CodePointRange& range : other.ranges_) add(range);
}

CharClass CharClass::complement() const {
  CharClass out;
  char32_t next = 0;
  for (const CodePointRange& range : ranges_) {
    if (range.first > next) out.add({next, range.first - 1});
    next = range.last + 1;
  }
  if (next <= kLast) out.add({next, kLast});
  return out;
}

CharClass CharClass::intersection(const CharClass& other) const {
  CharClass out;
  for (auto a = ranges_.begin(), b = other.ranges_.begin(); a != ranges_.end() && b != other.ranges_.end();) {
    const char32_t first = std::max(a->first, b->first), last = std::min(a->last, b->last);
    if (first <= last) out.add({first, last});
    a->last < b->last ? ++a : ++b;
  }
  return out;
}

bool CharClass::contains(char32_t code_point) const {
  return std::any_of(ranges_.begin(), ranges_.end(),
                     [=](const CodePointRange& r) { return r.first <= code_point && code_point <= r.last; });
}

std::vector<ByteSequence> utf8_sequences(const CharClass& chars) {
  constexpr CodePointRange kByLength[] = {{0, 0x7F}, {0x80, 0x7FF}, {0x800, 0xFFFF}, {0x10000, kLast}};
  std::vector<ByteSequence> out;
  for (size_t length = 1; length <= 4; ++length) {
    const CharClass part = chars.intersection({kByLength[length - 1]});
    for (const CodePointRange& range : part.ranges()) {
      add_sequences(range.first, range.last, length, out);
    }
  }
  return out;
}

}  // namespace vortex::grammar
