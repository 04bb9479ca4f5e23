#include "sample/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace vortex::sample {

StopMatcher::StopMatcher(std::vector<std::string> stops, bool include_stop)
    : stops_(std::move(stops)), include_stop_(include_stop) {}

std::string StopMatcher::feed(std::string_view piece) {
  if (stopped()) return {};
  pending_ += piece;
  size_t first = std::string::npos;
  for (const std::string& stop : stops_) {
    const size_t place = pending_.find(stop);
    if (place >= first) continue;
    first = place;
    matched_ = stop;
  }
  if (stopped()) return std::exchange(pending_, {}).substr(0, first + (include_stop_ ? matched_->size() : 0));
  const size_t shown = pending_.size() - held_tail();
  std::string out = pending_.substr(0, shown);
  pending_.erase(0, shown);
  return out;
}

std::string StopMatcher::finish() { return std::exchange(pending_, {}); }

/// Length of the longest end of pending_ that begins a stop string.
size_t StopMatcher::held_tail() const {
  size_t longest = 0;
  for (const std::string& stop : stops_) {
    for (size_t n = std::min(stop.size() - 1, pending_.size()); n > longest; --n) {
      if (pending_.ends_with(std::string_view(stop).substr(0, n))) longest = n;
    }
  }
  return longest;
}

}  // namespace vortex::sample
