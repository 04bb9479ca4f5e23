#include "flow/backends/cpu/select_best.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>

namespace vortex::flow {
namespace {

constexpr int kTables = 4;

/// Order-preserving: NaN is 0, below -infinity. Adding 0 makes -0 a +0.
uint32_t key_of(float x) {
  const auto bits = std::bit_cast<uint32_t>(x + 0.0f);
  const uint32_t flip = static_cast<uint32_t>(static_cast<int32_t>(bits) >> 31) | 0x80000000u;
  return x == x ? bits ^ flip : 0;
}

/// Keys above `high` are all chosen, of those in [low, high] the first `count`.
struct Cut {
  uint32_t low, high;
  int64_t count;
};

/// How many keys that share the bits of `known` with `prefix` have each value of the byte at `shift`. Several tables:
/// neighbours often count in the same place, and would wait for each other.
std::array<int32_t, 256> count_bytes(const uint32_t* keys, int64_t n, uint32_t prefix, uint32_t known, int shift) {
  int32_t tables[kTables][257] = {};  // the last counter takes the keys that do not share
  const auto add = [&](int table, uint32_t key) {
    const uint32_t byte = (key >> shift) & 0xff;
    ++tables[table][((key ^ prefix) & known) == 0 ? byte : 256];
  };
  int64_t i = 0;
  for (; i + kTables <= n; i += kTables)
    for (int table = 0; table < kTables; ++table) add(table, keys[i + table]);
  for (; i < n; ++i) add(0, keys[i]);
  std::array<int32_t, 256> total;
  for (size_t byte = 0; byte < 256; ++byte)
    total[byte] = tables[0][byte] + tables[1][byte] + tables[2][byte] + tables[3][byte];
  return total;
}

/// Finds the k-th largest key, a byte at a time from the top. Stops when `enough` keys lie above the bin that is left,
/// or when the bits below are 0 in all scores (`used` is their union), as in those that were rounded to 16 bits.
Cut find_cut(const uint32_t* keys, int64_t n, int64_t k, int64_t enough, uint32_t used) {
  uint32_t prefix = 0;
  int64_t wanted = k;
  for (int shift = 24;; shift -= 8) {
    const uint32_t known = shift == 24 ? 0 : ~uint32_t{0} << (shift + 8), below = (uint32_t{1} << shift) - 1;
    const auto count = count_bytes(keys, n, prefix, known, shift);
    uint32_t digit = 255;
    while (count[digit] < wanted) wanted -= count[digit--];
    prefix |= digit << shift;
    // All keys of this bin are chosen, or they are equal, or few enough of it are left that any will do.
    if (count[digit] == wanted || (used & below) == 0 || k - wanted >= enough) return {prefix, prefix | below, wanted};
  }
}

}  // namespace

bool select_best(const float* score, int64_t n, int64_t k, float tolerance, std::vector<uint32_t>* scratch,
                 int32_t* out) {
  if (static_cast<int64_t>(scratch->size()) < n) scratch->resize(static_cast<size_t>(n));
  uint32_t* keys = scratch->data();
  uint32_t used = 0, nans = 0;
  for (int64_t i = 0; i < n; ++i) {
    keys[i] = key_of(score[i]);
    used |= std::bit_cast<uint32_t>(score[i]);
    nans |= static_cast<uint32_t>(score[i] != score[i]);
  }
  if (k == 0) return nans != 0;
  const auto enough = static_cast<int64_t>(std::ceil((1.0 - double{tolerance}) * static_cast<double>(k)));
  const Cut cut = find_cut(keys, n, k, enough, used);
  int64_t left = cut.count;
  for (int64_t i = 0; i < n; ++i) {
    if (keys[i] < cut.low || (keys[i] <= cut.high && left-- <= 0)) continue;
    *out++ = static_cast<int32_t>(i);
  }
  return nans != 0;
}

}  // namespace vortex::flow
