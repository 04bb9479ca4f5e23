#include "base/edit_distance.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace vortex {
namespace {

// Names are short; a hostile word must not cost a quadratic table.
constexpr std::size_t kLongestWord = 64;
constexpr std::size_t kMostEdits = 3;

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

std::string_view nearest_name(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view nearest;
  if (word.size() > kLongestWord) return nearest;
  std::size_t least = kMostEdits + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    const bool is_slip = distance * 3 <= std::max(word.size(), candidate.size());
    if (!is_slip || distance >= least) continue;
    least = distance;
    nearest = candidate;
  }
  return nearest;
}

std::string nearest_name_hint(std::string_view word, std::span<const std::string_view> candidates) {
  const std::string_view nearest = nearest_name(word, candidates);
  return nearest.empty() ? "" : fmt::format("did you mean '{}'?", nearest);
}

}  // namespace vortex
