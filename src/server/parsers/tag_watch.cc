#include "server/parsers/tag_watch.h"

#include <utility>

namespace vortex::server {

bool TagWatch::push(char c, std::string& out) {
  const bool fits = c == tag_[matched_] || (matched_ == 0 && is_white_space(c));
  if (!fits) {
    out += take_held();
    if (c != tag_[0] && !is_white_space(c)) {
      out += c;
      return false;
    }
  }
  held_ += c;
  if (c == tag_[matched_]) ++matched_;
  return matched_ == tag_.size();
}

std::string TagWatch::take_held() {
  matched_ = 0;
  return std::exchange(held_, {});
}

}  // namespace vortex::server
