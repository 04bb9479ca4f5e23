// Helpers of the tests of this folder: small vocabularies, and a matcher that reads text.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/compiled_grammar.h"
#include "grammar/grammar.h"
#include "text/byte_alphabet.h"
#include "text/tokenizer.h"

namespace vortex::grammar {

/// Byte-level tokens for `words`, by their place, and after them one that ends texts.
inline std::unique_ptr<text::Tokenizer> tokenizer_of(const std::vector<std::string>& words) {
  text::GgufVocab vocab;
  vocab.model = "gpt2";
  vocab.pre = "gpt-2";
  for (const std::string& word : words) {
    vocab.tokens.emplace_back();
    for (const char c : word) vocab.tokens.back() += text::byte_character(static_cast<uint8_t>(c));
    vocab.token_types.push_back(1);
  }
  vocab.eos = static_cast<int32_t>(words.size());
  vocab.tokens.push_back("<end>");
  vocab.token_types.push_back(3);
  auto tokenizer = text::Tokenizer::from_gguf(vocab);
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().to_string();
  return std::move(tokenizer).value();
}

/// The tokens of `mask`.
inline std::vector<int32_t> tokens_of(const std::vector<uint32_t>& mask) {
  std::vector<int32_t> out;
  for (size_t i = 0; i < mask.size() * 32; ++i) {
    if (mask[i / 32] >> (i % 32) & 1) out.push_back(static_cast<int32_t>(i));
  }
  return out;
}

inline std::vector<std::string> all_bytes() {
  std::vector<std::string> out;
  for (int byte = 0; byte < 256; ++byte) out.emplace_back(1, static_cast<char>(byte));
  return out;
}

}  // namespace vortex::grammar
