// From text and conversations to token ids that fit the context. Slow for long texts: never on the network thread.
#pragma once

#include <cstdint>
#include <vector>

#include "server/request/chat_request.h"
#include "server/request/completion_request.h"

namespace vortex::server {

/// `param` is the field that errors name.
ApiResult<std::vector<int32_t>> encode_text(const RequestContext& context, const std::string& text, bool add_special,
                                            const char* param);

struct EncodedConversation {
  std::vector<int32_t> tokens;
  bool opens_thinking = false;  // the template has begun the answer with <think>
};
ApiResult<EncodedConversation> encode_conversation(const RequestContext& context, const ChatRequest& request);

/// Cuts the prompt to `truncate` last tokens (-1: to what leaves room for the answer), then 400
/// `context_length_exceeded`, with the counts, unless it fits with an answer of `max_tokens` (-1: of one).
ApiStatus fit_prompt(const RequestContext& context, std::optional<int64_t> truncate, int64_t max_tokens,
                     const char* param, std::vector<int32_t>* prompt);

}  // namespace vortex::server
