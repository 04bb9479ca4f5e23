// Prompts: from what was typed to token ids.
#pragma once

#include <string>

#include "vortex/engine.h"

namespace vortex::cli {

/// The whole of a file; "-" is standard input. kNotFound, or kResourceExhausted above 256 MiB.
Result<std::string> read_text(const std::string& path);

/// A conversation through the model's chat template, whose inputs are `messages` and perhaps more (TextCodec); the last
/// message alone, as plain text, without one. kUnsupported when `codec` is null.
Result<std::vector<int32_t>> encode_conversation(const TextCodec* codec, const nlohmann::ordered_json& inputs);
/// The same for the messages alone.
Result<std::vector<int32_t>> encode_messages(const Engine& engine, const nlohmann::ordered_json& messages);

}  // namespace vortex::cli
