// IncrementalDecoder: text of a growing sequence of tokens. Each piece is whole UTF-8; bytes that may still
// become a character wait for the next token. All pieces together equal Tokenizer::decode of all ids.
#pragma once

#include <cstdint>
#include <string>

#include "text/token_decoder.h"
#include "text/tokenizer.h"

namespace vortex::text {

class IncrementalDecoder {
 public:
  /// The tokenizer must outlive the decoder.
  IncrementalDecoder(const Tokenizer& tokenizer, bool skip_special)
      : tokenizer_(tokenizer), stream_(tokenizer.decoder()), skip_special_(skip_special) {}

  /// The text that is certain now; may be empty.
  std::string push(int32_t id);

  /// What was held back, as U+FFFD. Nothing may be pushed after it.
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  DecodeStream stream_;
  bool skip_special_;
  std::string held_;  // an incomplete sequence, at most 3 bytes between calls
};

}  // namespace vortex::text
