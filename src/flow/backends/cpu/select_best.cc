#include "flow/backends/cpu/select_best.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>

namespace vortex::flow {
namespace {

/// Order-preserving: NaN is 0, below -infinity. Adding 0 makes -0 a +0.
uint32_t key_of(float x) {
  if (x != x) return 0;
  const auto bits = std::bit_cast<uint32_t>(x + 0.0f);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}

/// Keys above `high` are all chosen, of those in [low, high] the first `count`.
struct Cut {
  uint32_t low, high;
  int64_t count;
};

/// Finds the k-th largest key, a byte at a time from the top: each pass counts the keys that share the bytes found so
/// far. Stops when `enough` keys lie above the bin that is left.
Cut find_cut(const std::vector<uint32_t>& keys, int64_t n, int64_t k, int64_t enough) {
  uint32_t prefix = 0;
  int64_t wanted = k;
  for (int shift = 24;; shift -= 8) {
    std::array<int32_t, 256> count{};
    const uint32_t known = shift == 24 ? 0 : ~uint32_t{0} << (shift + 8);
    for (int64_t i = 0; i < n; ++i) {
      const uint32_t key = keys[static_cast<size_t>(i)];
      if (((key ^ prefix) & known) == 0) ++count[(key >> shift) & 0xff];
    }
    uint32_t digit = 255;
    while (count[digit] < wanted) wanted -= count[digit--];
    prefix |= digit << shift;
    // All keys of this bin are chosen, or few enough of it that any will do.
    if (shift == 0 || count[digit] == wanted || k - wanted >= enough)
      return {prefix, prefix | ((uint32_t{1} << shift) - 1), wanted};
  }
}

}  // namespace

bool select_best(const float* score, int64_t n, int64_t k, float tolerance, std::vector<uint32_t>* keys, int32_t* out) {
  if (static_cast<int64_t>(keys->size()) < n) keys->resize(static_cast<size_t>(n));
  bool nan = false;
  for (int64_t i = 0; i < n; ++i) {
    (*keys)[static_cast<size_t>(i)] = key_of(score[i]);
    nan |= score[i] != score[i];
  }
  if (k == 0) return nan;
  const auto enough = static_cast<int64_t>(std::ceil((1.0 - double{tolerance}) * static_cast<double>(k)));
  const Cut cut = find_cut(*keys, n, k, enough);
  int64_t left = cut.count;
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t key = (*keys)[static_cast<size_t>(i)];
    if (key > cut.high || (key >= cut.low && left-- > 0)) *out++ = static_cast<int32_t>(i);
  }
  return nan;
}

}  // namespace vortex::flow
