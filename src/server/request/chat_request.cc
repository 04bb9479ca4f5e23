#include "server/request/chat_request.h"

#include "server/parsers/output_parser.h"
#include "server/request/chat_messages.h"

namespace vortex::server {
namespace {

const Json* find_tool(const Json& tools, const std::string& name) {
  for (const Json& tool : tools)
    if (tool["function"]["name"] == name) return &tool;
  return nullptr;
}

/// The answer must be a list of calls of these tools.
ApiStatus force_call(const Json& tools, bool parallel, ChatRequest* request) {
  if (request->generation.constraint)
    return invalid_value("tool_choice", "tool_choice cannot force a call beside a response_format or a grammar.");
  request->generation.constraint =
      grammar::GrammarSource{grammar::GrammarSource::Kind::kJsonSchema, forced_calls_schema(tools, parallel), {}};
  return {};
}

ApiStatus read_named_choice(const Json& choice, const Json& tools, ChatRequest* request) {
  const Json& name = member(member(choice, "function"), "name");
  if (member(choice, "type") != "function" || !name.is_string())
    return invalid_value("tool_choice", R"(tool_choice must be {"type": "function", "function": {"name": ...}}.)");
  const auto tool_name = name.get<std::string>();
  const Json* const tool = find_tool(tools, tool_name);
  if (tool == nullptr)
    return invalid_value("tool_choice",
                         fmt::format("tool_choice names '{}', which is not among the tools.", tool_name.substr(0, 64)));
  request->tool_mode = ToolMode::kNamed;
  return force_call(Json::array({*tool}), /*parallel=*/false, request);
}

ApiStatus read_tool_choice(const Fields& fields, ChatRequest* request) {
  const Json& choice = fields["tool_choice"];
  const Json& tools = fields["tools"];
  if (tools.is_null()) {
    if (choice.is_null() || choice == "none") return {};
    return invalid_value("tool_choice", "tool_choice needs tools.");
  }
  if (choice == "none") {
    request->template_inputs.erase("tools");
    return {};
  }
  if (choice.is_object()) return read_named_choice(choice, tools, request);
  if (choice.is_null() || choice == "auto") {
    request->tool_mode = ToolMode::kAuto;
    return {};
  }
  if (choice != "required")
    return invalid_value("tool_choice", "tool_choice must be none, auto, required or one function by name.");
  request->tool_mode = ToolMode::kRequired;
  return force_call(tools, request->parallel_tool_calls, request);
}

ApiStatus read_chat_logprobs(const Fields& fields, const RequestContext& context, sample::SamplingParams* sampling) {
  const bool wanted = fields.flag("logprobs", false);
  if (fields.has("top_logprobs") && !wanted) return invalid_value("top_logprobs", "top_logprobs needs logprobs: true.");
  if (!wanted) return {};
  sampling->logprobs = static_cast<int>(fields.integer("top_logprobs", 0));
  return check_logprobs("top_logprobs", sampling->logprobs, context);
}

bool says_no_thinking(const Json& inputs) {
  for (const char* key : {"enable_thinking", "thinking"})
    if (inputs.contains(key) && inputs[key] == false) return true;
  return false;
}

}  // namespace

ApiResult<ChatRequest> read_conversation(const Fields& fields) {
  ChatRequest request;
  Json& inputs = request.template_inputs;
  VORTEX_ASSIGN_OR_RETURN(inputs["messages"], read_messages(fields["messages"]));
  if (fields.has("tools")) {
    VORTEX_RETURN_IF_ERROR(check_tools(fields["tools"]));
    inputs["tools"] = fields["tools"];
  }
  if (const Json& kwargs = fields["chat_template_kwargs"]; !kwargs.is_null()) {
    VORTEX_RETURN_IF_ERROR(check_template_kwargs(kwargs));
    inputs.update(kwargs);
  }
  request.continue_final_message = fields.flag("continue_final_message", false);
  const bool open_turn = fields.flag("add_generation_prompt", !request.continue_final_message);
  if (open_turn && request.continue_final_message)
    return invalid_value("continue_final_message",
                         "continue_final_message and add_generation_prompt cannot both be true.");
  inputs["add_generation_prompt"] = open_turn;
  return request;
}

ApiResult<ChatRequest> read_chat(const Fields& fields, const RequestContext& context) {
  VORTEX_ASSIGN_OR_RETURN(ChatRequest request, read_conversation(fields));
  VORTEX_ASSIGN_OR_RETURN(request.generation, read_generation(fields, context));
  Json& inputs = request.template_inputs;
  if (fields.has("documents")) inputs["documents"] = fields["documents"];
  if (fields.has("reasoning_effort")) inputs["reasoning_effort"] = fields["reasoning_effort"];
  sample::SamplingParams& sampling = request.generation.generate.sampling;
  read_max_tokens(fields, &sampling);
  VORTEX_RETURN_IF_ERROR(read_chat_logprobs(fields, context, &sampling));
  request.parallel_tool_calls = fields.flag("parallel_tool_calls", true);
  request.include_reasoning = fields.flag("include_reasoning", true);
  request.reasoning_off = says_no_thinking(inputs);
  VORTEX_RETURN_IF_ERROR(read_tool_choice(fields, &request));
  return request;
}

}  // namespace vortex::server
