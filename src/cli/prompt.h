// Prompts: from what was typed to token ids.
#pragma once

#include <string>

#include "vortex/engine.h"

namespace vortex::cli {

/// The whole of a file; "-" is standard input. kNotFound, or kResourceExhausted above 256 MiB.
Result<std::string> read_text(const std::string& path);

/// `messages` as eval::encode_conversation encodes them for the engine's model.
Result<std::vector<int32_t>> encode_messages(const Engine& engine, const nlohmann::ordered_json& messages);

}  // namespace vortex::cli
