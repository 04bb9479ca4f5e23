// TokenizerParts: what a reader of a tokenizer file makes, and what a Tokenizer runs.
#pragma once

#include <cstdint>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/token_decoder.h"
#include "text/vocabulary.h"

namespace vortex::text {

struct TokenizerParts {
  Vocabulary vocabulary;
  AddedTokens raw_added;         // sought in the text as it comes; all special tokens are here
  AddedTokens normalized_added;  // sought in the normalized text
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  BpeTables bpe;
  TokenDecoder decoder;
  std::vector<int32_t> prefix, suffix;  // put around a prompt (bos, eos)
  int32_t bos = -1, eos = -1, unk = -1, pad = -1;
  std::vector<int32_t> end_ids;  // tokens that end generation
};

}  // namespace vortex::text
