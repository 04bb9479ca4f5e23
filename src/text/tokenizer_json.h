// Reader of Hugging Face tokenizer.json: see Tokenizer::from_json.
#pragma once

#include <string_view>

#include "base/result.h"
#include "text/tokenizer_parts.h"

namespace vortex::text {

Result<TokenizerParts> parts_from_json(std::string_view tokenizer_json, std::string_view tokenizer_config_json);

}  // namespace vortex::text
