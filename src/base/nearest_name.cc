#include "base/nearest_name.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

namespace vortex {
namespace {

// Names are short; a hostile word must not cost a quadratic table.
constexpr std::size_t kLongestWord = 256;
constexpr std::size_t kShortestPart = 4;
constexpr std::size_t kMostEdits = 8;

/// Who types "quest" wants a name with that in it, however long the rest.
std::string_view first_containing(std::string_view word, std::span<const std::string_view> candidates) {
  if (word.size() < kShortestPart) return "";
  for (const std::string_view candidate : candidates)
    if (candidate.find(word) != std::string_view::npos) return candidate;
  return "";
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Three rows of the Damerau-Levenshtein table: two back, previous, current.
  std::vector<std::size_t> back(b.size() + 1), previous(b.size() + 1), current(b.size() + 1);
  std::iota(previous.begin(), previous.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({replaced, previous[j] + 1, current[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) current[j] = std::min(current[j], back[j - 2] + 1);
    }
    std::swap(back, previous);
    std::swap(previous, current);
  }
  return previous[b.size()];
}

std::string nearest_name(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view nearest;
  if (word.size() > kLongestWord) return "";
  std::size_t least = std::min(kMostEdits, word.size() / 2) + 1;
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > kLongestWord) continue;
    const std::size_t distance = edit_distance(word, candidate);
    if (distance >= least) continue;
    least = distance;
    nearest = candidate;
  }
  return std::string(nearest.empty() ? first_containing(word, candidates) : nearest);
}

std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates) {
  const std::vector<std::string_view> views(candidates.begin(), candidates.end());
  return nearest_name(word, views);
}

std::string nearest_name_hint(std::string_view word, std::span<const std::string_view> candidates) {
  const std::string nearest = nearest_name(word, candidates);
  return nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest);
}

}  // namespace vortex
