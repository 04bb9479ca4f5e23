#include "text/token_decoder.h"

namespace vortex::text {

std::string_view TokenDecoder::token_bytes(int32_t id) const {
  return id >= 0 && static_cast<size_t>(id) < bytes.size() ? std::string_view(bytes[id]) : std::string_view();
}

void DecodeStream::append(int32_t id, std::string& out) {
  std::string_view bytes = decoder_.token_bytes(id);
  if (at_first_token_) {
    if (const auto it = decoder_.first_bytes.find(id); it != decoder_.first_bytes.end()) bytes = it->second;
    at_first_token_ = false;
  }
  while (strip_left_ > 0 && !bytes.empty()) {
    strip_left_ = bytes.front() == decoder_.strip_content ? strip_left_ - 1 : 0;
    if (bytes.front() == decoder_.strip_content) bytes.remove_prefix(1);
  }
  out += bytes;
}

}  // namespace vortex::text
