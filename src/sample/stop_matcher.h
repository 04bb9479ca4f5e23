// StopMatcher: finds stop strings in streamed text and holds back what may become one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vortex::sample {

class StopMatcher {
 public:
  /// `include_stop`: what is returned ends with the stop string rather than before it.
  explicit StopMatcher(std::vector<std::string> stops, bool include_stop = false);

  /// Appends text and returns what may be shown: everything but a tail that could be the start of a stop string.
  /// After a match it returns the text before it, and stopped() is true; later pieces give nothing.
  std::string feed(std::string_view piece);
  /// What was held back, when generation ends for another reason.
  std::string finish();
  bool stopped() const { return matched_.has_value(); }
  /// The stop string that was found, if any.
  const std::optional<std::string>& matched() const { return matched_; }

 private:
  size_t held_tail() const;

  std::vector<std::string> stops_;
  std::string pending_;
  bool include_stop_;
  std::optional<std::string> matched_;
};

}  // namespace vortex::sample
