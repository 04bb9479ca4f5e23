#include "text/incremental_decoder.h"

#include "text/utf8.h"

namespace vortex::text {

std::string IncrementalDecoder::push(int32_t id) {
  if (skip_special_ && tokenizer_.is_special(id)) return {};
  stream_.append(id, held_);
  std::string out;
  held_.erase(0, append_repaired(held_, out));
  return out;
}

std::string IncrementalDecoder::finish() {
  std::string out = repaired_utf8(held_);
  held_.clear();
  return out;
}

}  // namespace vortex::text
