// CharClass: a set of Unicode scalar values, and how it is spelled in UTF-8.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace vortex::grammar {

struct CodePointRange {
  char32_t first = 0, last = 0;  // both included
  bool operator==(const CodePointRange&) const = default;
};

struct ByteRange {
  uint8_t first = 0, last = 0;
  auto operator<=>(const ByteRange&) const = default;
};

/// Sorted, disjoint, not adjacent ranges; never a surrogate.
class CharClass {
 public:
  CharClass() = default;
  CharClass(std::initializer_list<CodePointRange> ranges);
  static CharClass any();
  static CharClass of(char32_t code_point) { return CharClass{{code_point, code_point}}; }

  void add(CodePointRange range);
  void add(const CharClass& other);
  CharClass complement() const;
  CharClass intersection(const CharClass& other) const;
  CharClass without(const CharClass& other) const { return intersection(other.complement()); }

  bool empty() const { return ranges_.empty(); }
  bool contains(char32_t code_point) const;
  const std::vector<CodePointRange>& ranges() const { return ranges_; }

 private:
  std::vector<CodePointRange> ranges_;
};

/// A byte from each range in turn spells one character of the class.
using ByteSequence = std::vector<ByteRange>;

/// The sequences that together spell exactly the characters of the class.
std::vector<ByteSequence> utf8_sequences(const CharClass& chars);

}  // namespace vortex::grammar
