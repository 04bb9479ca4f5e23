// TagWatch: finds a tag such as <think> in text that comes in pieces. The tag has one '<', its first character.
#pragma once

#include <string>
#include <string_view>

namespace vortex::server {

class TagWatch {
 public:
  /// White space before the tag goes with it.
  explicit TagWatch(std::string_view tag) : tag_(tag) {}

  /// True when the tag has ended with `c`; held() is the tag and its white space then. What is clear not to be the
  /// tag is appended to `out`.
  bool push(char c, std::string& out);

  const std::string& held() const { return held_; }
  /// Empties it.
  std::string take_held();

 private:
  std::string_view tag_;
  std::string held_;
  size_t matched_ = 0;
};

inline bool is_white_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

}  // namespace vortex::server
