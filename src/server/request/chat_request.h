// A chat completion as asked: fields checked, conversation ready for the template.
#pragma once

#include <string>

#include "server/request/generation_request.h"

namespace vortex::server {

/// Whether the answer may, or must, call a tool.
enum class ToolMode { kNone, kAuto, kRequired, kNamed };

struct ChatRequest {
  GenerationRequest generation;
  Json template_inputs;  // messages, tools and further variables
  bool continue_final_message = false;
  ToolMode tool_mode = ToolMode::kNone;
  bool parallel_tool_calls = true;
  bool include_reasoning = true;
  bool reasoning_off = false;  // the request told the template not to think
};

/// 400 naming the field, 404 model_not_found, 501 for media.
ApiResult<ChatRequest> read_chat(const Fields& fields, const RequestContext& context);

/// Messages, tools and variables of the template; /tokenize has them too. `template_inputs` and
/// `continue_final_message` are set.
ApiResult<ChatRequest> read_conversation(const Fields& fields);

}  // namespace vortex::server
