// Overflow-checked integer arithmetic, for sizes and offsets that come from outside.
#pragma once

#include <concepts>
#include <optional>

namespace vortex {

/// a + b, or nothing when the exact sum does not fit T.
template <std::integral T>
constexpr std::optional<T> checked_add(T a, T b) {
  T sum{};
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

/// a * b, or nothing when the exact product does not fit T.
template <std::integral T>
constexpr std::optional<T> checked_mul(T a, T b) {
  T product{};
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

}  // namespace vortex
