// Reader of GGUF vocabularies: see Tokenizer::from_gguf.
#pragma once

#include "base/result.h"
#include "text/tokenizer.h"
#include "text/tokenizer_parts.h"

namespace vortex::text {

Result<TokenizerParts> parts_from_gguf(const GgufVocab& vocab);

}  // namespace vortex::text
