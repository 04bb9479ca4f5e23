// TextRange: a half-open range of byte offsets in a string.
#pragma once

#include <cstddef>

namespace vortex::text {

struct TextRange {
  size_t begin = 0;
  size_t end = 0;

  size_t size() const { return end - begin; }
  bool operator==(const TextRange&) const = default;
};

}  // namespace vortex::text
