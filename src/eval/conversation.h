// Conversations of data files and commands as token ids.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "base/result.h"
#include "engine/text_codec.h"

namespace vortex::eval {

/// A conversation through the model's chat template, whose inputs are `messages` and perhaps more (TextCodec); the last
/// message alone, as plain text, without one. kUnsupported when `codec` is null.
Result<std::vector<int32_t>> encode_conversation(const TextCodec* codec, const nlohmann::ordered_json& inputs);

}  // namespace vortex::eval
