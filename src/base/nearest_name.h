// nearest_name: the "did you mean" of error messages.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vortex {

/// Insertions, deletions, substitutions and swaps of neighbouring bytes that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word` (the first on a tie), or "" when none is near enough to be a slip: within
/// half of the length of `word`, and 8 edits; failing that, the first that contains `word` (four bytes or more).
std::string nearest_name(std::string_view word, std::span<const std::string_view> candidates);
std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates);

/// "did you mean 'X'?", or "" when no candidate is near: for Error::hint.
std::string nearest_name_hint(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace vortex
