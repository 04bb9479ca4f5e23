#include "eval/conversation.h"

namespace vortex::eval {

Result<std::vector<int32_t>> encode_conversation(const TextCodec* codec, const nlohmann::ordered_json& inputs) {
  if (codec == nullptr)
    return Error{ErrorCode::kUnsupported, "prompt", "the model has no tokenizer", "dummy weights serve bench only"};
  if (codec->has_chat_template()) return codec->encode_chat(inputs);
  const nlohmann::ordered_json& last = inputs.at("messages").back();
  if (!last.is_object() || !last.contains("content") || !last["content"].is_string())
    return Error{ErrorCode::kInvalidArgument, "prompt", "the last message has no text", "give it content"};
  return codec->encode(last["content"].get<std::string>());
}

}  // namespace vortex::eval
