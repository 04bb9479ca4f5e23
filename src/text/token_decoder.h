// TokenDecoder: from token ids to bytes. Each token's bytes are worked out when the model is loaded; what is
// left is the little that depends on the position.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace vortex::text {

struct TokenDecoder {
  std::vector<std::string> bytes;                        // by token id
  std::unordered_map<int32_t, std::string> first_bytes;  // of tokens that differ at the start (Metaspace)
  char strip_content = ' ';  // up to strip_count of these vanish from the start of the output
  int64_t strip_count = 0;

  /// Bytes of a token; empty for an id out of range.
  std::string_view token_bytes(int32_t id) const;
};

/// The bytes of a sequence of tokens, one by one.
class DecodeStream {
 public:
  explicit DecodeStream(const TokenDecoder& decoder) : decoder_(decoder), strip_left_(decoder.strip_count) {}

  void append(int32_t id, std::string& out);

 private:
  const TokenDecoder& decoder_;
  bool at_first_token_ = true;
  int64_t strip_left_;
};

}  // namespace vortex::text
