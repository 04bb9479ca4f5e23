// "Did you mean ...": the nearest of the names that would have been right.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace vortex {

/// Insertions, deletions, substitutions and swaps of neighbours that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word` (the first on a tie), or "" when none is near enough to be a slip:
/// more than a third of the longer name, and always at most 3, would have to change.
std::string_view nearest_name(std::string_view word, std::span<const std::string_view> candidates);

/// "did you mean 'X'?", or "" when no candidate is near: for Error::hint.
std::string nearest_name_hint(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace vortex
