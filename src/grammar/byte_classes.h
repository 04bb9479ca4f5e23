// ByteClasses: sets of bytes, coarse enough for one word: letters of one case are one class, other ASCII bytes are on
// their own. A set of classes says of a whole subtree of tokens which bytes it has.
#pragma once

#include <cstdint>

namespace vortex::grammar {

using ByteClasses = uint64_t;

constexpr int byte_class(int byte) {
  if (byte < 0x20) return 0;
  if (byte < 'A') return 1 + (byte - 0x20);
  if (byte <= 'Z') return 34;
  if (byte < 'a') return 35 + (byte - 'Z' - 1);
  if (byte <= 'z') return 41;
  if (byte < 0x80) return 42 + (byte - 'z' - 1);
  return 47 + (byte - 0x80) / 32;
}

/// The classes all of whose bytes satisfy `holds`.
template <class Holds>
ByteClasses classes_where(Holds holds) {
  ByteClasses out = ~ByteClasses{0};
  for (int byte = 0; byte < 256; ++byte) {
    if (!holds(byte)) out &= ~(ByteClasses{1} << byte_class(byte));
  }
  return out;
}

}  // namespace vortex::grammar
