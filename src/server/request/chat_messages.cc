#include "server/request/chat_messages.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "server/request/fields.h"

namespace vortex::server {
namespace {

constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant", "tool"};
constexpr std::array<std::string_view, 9> kMediaParts = {
    "image_url", "input_image", "image", "audio_url", "input_audio", "video_url", "input_video", "file", "input_file"};
// What templates of known families read; a request can set nothing else, above all none of the renderer's own inputs.
constexpr std::array<std::string_view, 13> kTemplateKwargs = {
    "enable_thinking",   "thinking",       "thinking_budget",       "thinking_mode", "reasoning_effort",
    "date_string",       "custom_tools",   "tools_in_user_message", "builtin_tools", "model_identity",
    "preserve_thinking", "clear_thinking", "keep_thinking"};
constexpr size_t kMostKwargBytes = 4096;

template <size_t N>
bool is_one_of(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

ApiResult<std::string> string_member(const Json& object, const char* key, const std::string& param) {
  const Json& value = member(object, key);
  if (value.is_null()) return missing_parameter(param, param + " is required.");
  if (!value.is_string()) return invalid_type(param, param + " must be a string.");
  return value.get<std::string>();
}

ApiResult<std::string> part_text(const Json& part, const std::string& param) {
  if (part.is_string()) return part.get<std::string>();
  if (!part.is_object()) return invalid_type(param, param + " must be an object.");
  VORTEX_ASSIGN_OR_RETURN(const std::string type, string_member(part, "type", param + ".type"));
  if (is_one_of(kMediaParts, type))
    return not_supported(param, fmt::format("{} is of type {}; this server takes text only.", param, type));
  if (type == "refusal") return string_member(part, "refusal", param + ".refusal");
  if (type != "text" && type != "input_text" && type != "output_text")
    return invalid_value(param + ".type", param + ".type must be text.");
  return string_member(part, "text", param + ".text");
}

ApiResult<std::string> content_text(const Json& content, const std::string& param) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) return invalid_type(param, param + " must be a string or an array of parts.");
  if (content.empty()) return invalid_value(param, param + " has no parts.");
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    VORTEX_ASSIGN_OR_RETURN(const std::string part, part_text(content[i], fmt::format("{}[{}]", param, i)));
    if (i > 0) text += '\n';
    text += part;
  }
  return text;
}

/// Templates walk the arguments; clients send them as JSON text.
ApiResult<Json> call_arguments(const Json& function, const std::string& param) {
  const Json& arguments = member(function, "arguments");
  if (arguments.is_object()) return arguments;
  if (arguments.is_null() || arguments == "") return Json::object();
  if (!arguments.is_string()) return invalid_type(param, param + " must be a string that holds an object.");
  const ApiResult<Json> parsed = parse_body(arguments.get_ref<const std::string&>());
  if (!parsed.ok() || !parsed->is_object()) return invalid_value(param, param + " does not hold a JSON object.");
  return *parsed;
}

ApiResult<Json> read_call(const Json& call, const std::string& param) {
  const Json& function = member(call, "function");
  if (!function.is_object()) return invalid_type(param + ".function", param + ".function must be an object.");
  VORTEX_ASSIGN_OR_RETURN(const std::string name, string_member(function, "name", param + ".function.name"));
  VORTEX_ASSIGN_OR_RETURN(Json arguments, call_arguments(function, param + ".function.arguments"));
  Json out = {{"type", "function"}, {"function", {{"name", name}, {"arguments", std::move(arguments)}}}};
  if (member(call, "id").is_string()) out["id"] = call["id"];
  return out;
}

ApiResult<Json> read_calls(const Json& calls, const std::string& param) {
  if (!calls.is_array()) return invalid_type(param, param + " must be an array.");
  Json out = Json::array();
  for (size_t i = 0; i < calls.size(); ++i) {
    VORTEX_ASSIGN_OR_RETURN(Json call, read_call(calls[i], fmt::format("{}[{}]", param, i)));
    out.push_back(std::move(call));
  }
  return out;
}

ApiStatus read_content(const Json& message, const std::string& where, bool may_be_empty, Json* out) {
  const Json& content = member(message, "content");
  if (content.is_null() && !may_be_empty) return missing_parameter(where + ".content", where + ".content is required.");
  std::string text;
  if (!content.is_null()) {
    VORTEX_ASSIGN_OR_RETURN(text, content_text(content, where + ".content"));
  }
  (*out)["content"] = std::move(text);
  return {};
}

ApiStatus read_extras(const Json& message, const std::string& where, Json* out) {
  for (const char* key : {"name", "tool_call_id", "reasoning_content"}) {
    const Json& value = member(message, key);
    if (value.is_null()) continue;
    if (!value.is_string()) return invalid_type(where + "." + key, fmt::format("{}.{} must be a string.", where, key));
    (*out)[key] = value;
  }
  if (const Json& reasoning = member(message, "reasoning"); reasoning.is_string())
    (*out)["reasoning_content"] = reasoning;
  return {};
}

ApiResult<Json> read_message(const Json& message, const std::string& where) {
  VORTEX_ASSIGN_OR_RETURN(const std::string role, string_member(message, "role", where + ".role"));
  if (!is_one_of(kRoles, role))
    return invalid_value(where + ".role", fmt::format("{}.role must be one of {}.", where, fmt::join(kRoles, ", ")));
  Json out = {{"role", role}};
  const bool assistant = role == "assistant";
  const Json& calls = member(message, "tool_calls");
  VORTEX_RETURN_IF_ERROR(read_content(message, where, assistant && !calls.is_null(), &out));
  VORTEX_RETURN_IF_ERROR(read_extras(message, where, &out));
  if (assistant && !calls.is_null()) {
    VORTEX_ASSIGN_OR_RETURN(out["tool_calls"], read_calls(calls, where + ".tool_calls"));
  }
  return out;
}

bool is_function_name(std::string_view name) {
  const auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.'; };
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), allowed);
}

ApiStatus check_tool(const Json& tool, const std::string& where) {
  if (member(tool, "type") != "function") return invalid_value(where + ".type", where + ".type must be function.");
  const Json& function = member(tool, "function");
  if (!function.is_object()) return invalid_type(where + ".function", where + ".function must be an object.");
  VORTEX_ASSIGN_OR_RETURN(const std::string name, string_member(function, "name", where + ".function.name"));
  if (!is_function_name(name))
    return invalid_value(where + ".function.name",
                         where + ".function.name must be 1 to 64 letters, digits, '_', '-' or '.'.");
  const Json& parameters = member(function, "parameters");
  if (!parameters.is_null() && !parameters.is_object())
    return invalid_type(where + ".function.parameters", where + ".function.parameters must be an object.");
  const Json& description = member(function, "description");
  if (!description.is_null() && !description.is_string())
    return invalid_type(where + ".function.description", where + ".function.description must be a string.");
  return {};
}

}  // namespace

ApiResult<Json> read_messages(const Json& messages) {
  Json out = Json::array();
  for (size_t i = 0; i < messages.size(); ++i) {
    VORTEX_ASSIGN_OR_RETURN(Json message, read_message(messages[i], fmt::format("messages[{}]", i)));
    out.push_back(std::move(message));
  }
  return out;
}

ApiStatus check_tools(const Json& tools) {
  for (size_t i = 0; i < tools.size(); ++i) VORTEX_RETURN_IF_ERROR(check_tool(tools[i], fmt::format("tools[{}]", i)));
  return {};
}

ApiStatus check_template_kwargs(const Json& kwargs) {
  for (const auto& [key, value] : kwargs.items()) {
    const std::string param = "chat_template_kwargs." + key.substr(0, 64);
    if (!is_one_of(kTemplateKwargs, key))
      return invalid_value(
          param, fmt::format("{} may not be set by a request; {} may.", param, fmt::join(kTemplateKwargs, ", ")));
    if (to_text(value).size() > kMostKwargBytes)
      return invalid_value(param, fmt::format("{} is longer than {} bytes.", param, kMostKwargBytes));
  }
  return {};
}

}  // namespace vortex::server
