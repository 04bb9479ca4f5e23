#include "flow/backends/cpu/select_best.h"

#include <array>
#include <bit>
#include <cstddef>

namespace vortex::flow {
namespace {

/// Order-preserving: NaN is 0, below -infinity. Adding 0 makes -0 a +0.
uint32_t key_of(float x) {
  if (x != x) return 0;
  const auto bits = std::bit_cast<uint32_t>(x + 0.0f);
  return (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}

/// Keys above `threshold` are all chosen, of those equal to it the first `equals`.
struct Cut {
  uint32_t threshold;
  int64_t equals;
};

/// The k-th largest key, a byte at a time from the top: each pass counts the keys that share the bytes found so far.
Cut find_cut(const std::vector<uint32_t>& keys, int64_t n, int64_t k) {
  uint32_t prefix = 0;
  int64_t wanted = k;
  for (int shift = 24; shift >= 0; shift -= 8) {
    std::array<int32_t, 256> count{};
    const uint32_t known = shift == 24 ? 0 : ~uint32_t{0} << (shift + 8);
    for (int64_t i = 0; i < n; ++i) {
      const uint32_t key = keys[static_cast<size_t>(i)];
      if (((key ^ prefix) & known) == 0) ++count[(key >> shift) & 0xff];
    }
    uint32_t digit = 255;
    while (count[digit] < wanted) wanted -= count[digit--];
    prefix |= digit << shift;
    // All keys of this bin are chosen: the cut lies below the bin.
    if (count[digit] == wanted && prefix > 0) return {prefix - 1, 0};
  }
  return {prefix, wanted};
}

}  // namespace

bool select_best(const float* score, int64_t n, int64_t k, std::vector<uint32_t>* keys, int32_t* out) {
  if (static_cast<int64_t>(keys->size()) < n) keys->resize(static_cast<size_t>(n));
  bool nan = false;
  for (int64_t i = 0; i < n; ++i) {
    (*keys)[static_cast<size_t>(i)] = key_of(score[i]);
    nan |= score[i] != score[i];
  }
  if (k == 0) return nan;
  const Cut cut = find_cut(*keys, n, k);
  int64_t equals = cut.equals;
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t key = (*keys)[static_cast<size_t>(i)];
    if (key > cut.threshold || (key == cut.threshold && equals-- > 0)) *out++ = static_cast<int32_t>(i);
  }
  return nan;
}

}  // namespace vortex::flow
