#include "fuzz/mutate.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace vortex::fuzz {
namespace {

using Random = std::mt19937_64;

constexpr uint64_t kIntegers[] = {0,
                                  1,
                                  2,
                                  7,
                                  31,
                                  32,
                                  33,
                                  64,
                                  127,
                                  128,
                                  255,
                                  0x7fff,
                                  0xffff,
                                  0x7fffffff,
                                  0x80000000,
                                  0xffffffff,
                                  1ull << 32,
                                  1ull << 61,
                                  1ull << 62,
                                  INT64_MAX,
                                  1ull << 63,
                                  UINT64_MAX,
                                  UINT64_MAX - 31};
constexpr std::string_view kWords[] = {"-1", "1e400", "null", "[", "{", "\"\"", "18446744073709551615", "0.5", "true"};

/// Below `n`, or 0 when n is 0.
size_t below(Random& random, size_t n) { return n == 0 ? 0 : random() % n; }

void change_byte(std::string& s, Random& random) {
  if (!s.empty()) s[below(random, s.size())] = static_cast<char>(random());
}

void flip_bit(std::string& s, Random& random) {
  if (!s.empty()) s[below(random, s.size())] ^= static_cast<char>(1 << below(random, 8));
}

void write_integer(std::string& s, Random& random) {
  const uint64_t value = kIntegers[below(random, std::size(kIntegers))];
  const size_t width = std::min<size_t>(size_t{1} << below(random, 4), s.size());
  if (width > 0) std::memcpy(s.data() + below(random, s.size() - width + 1), &value, width);
}

void nudge_byte(std::string& s, Random& random) {
  if (!s.empty()) s[below(random, s.size())] += static_cast<char>(below(random, 9)) - 4;
}

void cut_tail(std::string& s, Random& random) { s.resize(below(random, s.size() + 1)); }

void erase_piece(std::string& s, Random& random) { s.erase(below(random, s.size()), below(random, 32)); }

void repeat_piece(std::string& s, Random& random) {
  const std::string piece = s.substr(below(random, s.size()), below(random, 64));
  s.insert(below(random, s.size() + 1), piece);
}

void insert_word(std::string& s, Random& random) {
  s.insert(below(random, s.size() + 1), kWords[below(random, std::size(kWords))]);
}

void swap_pieces(std::string& s, Random& random) {
  const size_t width = std::min<size_t>(size_t{1} << below(random, 6), s.size() / 2);
  const size_t a = below(random, s.size() / 2 - width + 1), b = s.size() / 2 + below(random, s.size() / 2 - width + 1);
  std::swap_ranges(s.begin() + static_cast<std::ptrdiff_t>(a), s.begin() + static_cast<std::ptrdiff_t>(a + width),
                   s.begin() + static_cast<std::ptrdiff_t>(b));
}

constexpr void (*kMutations[])(std::string&, Random&) = {change_byte, flip_bit,   write_integer, write_integer,
                                                         nudge_byte,  cut_tail,   erase_piece,   repeat_piece,
                                                         insert_word, swap_pieces};

}  // namespace

std::string mutate(const std::vector<std::string>& corpus, Random& random) {
  std::string s = corpus[below(random, corpus.size())];
  if (below(random, 16) == 0) {  // the head of one and the tail of another
    const std::string& other = corpus[below(random, corpus.size())];
    s = s.substr(0, below(random, s.size() + 1)) + other.substr(below(random, other.size() + 1));
  }
  const size_t changes = 1 + below(random, 8);
  for (size_t i = 0; i < changes; ++i) kMutations[below(random, std::size(kMutations))](s, random);
  if (s.size() > kMaxInputBytes) s.resize(kMaxInputBytes);
  return s;
}

}  // namespace vortex::fuzz
