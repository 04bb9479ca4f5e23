// The rotation of the Rotate op: x -> H (s * x), H the orthonormal Walsh-Hadamard matrix, s fixed random signs. A width
// is split into power-of-two blocks, largest first (576 = 512 + 64), each rotated by itself. Dot products are kept.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace vortex::flow {

/// Sign of element i: a bit of a mixed counter (splitmix64's finaliser).
inline float rotation_sign(int i) {
  uint64_t z = (static_cast<uint64_t>(i) + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return ((z ^ (z >> 31)) & 1) != 0 ? -1.0f : 1.0f;
}

/// Largest power of two that is at most n > 0: the size of the next block.
inline int rotation_block(int n) { return static_cast<int>(std::bit_floor(static_cast<unsigned>(n))); }

/// Rotates n floats in place.
inline void rotate_in_place(float* x, int n) {
  for (int i = 0; i < n; ++i) x[i] *= rotation_sign(i);
  for (int begin = 0; begin < n;) {
    const int size = rotation_block(n - begin);
    for (int half = 1; half < size; half *= 2) {
      for (int i = begin; i < begin + size; i += 2 * half) {
        for (int j = i; j < i + half; ++j) {
          const float a = x[j], b = x[j + half];
          x[j] = a + b;
          x[j + half] = a - b;
        }
      }
    }
    const float scale = 1.0f / std::sqrt(static_cast<float>(size));
    for (int i = begin; i < begin + size; ++i) x[i] *= scale;
    begin += size;
  }
}

}  // namespace vortex::flow
