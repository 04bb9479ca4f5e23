#include "text/strings.h"

namespace vortex::text {

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  out.reserve(text.size());
  for (;;) {
    const size_t pos = text.find(from);
    out += text.substr(0, pos);
    if (pos == std::string_view::npos) return out;
    out += to;
    text.remove_prefix(pos + from.size());
  }
}

}  // namespace vortex::text
