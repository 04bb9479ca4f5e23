#include "server/request/field_tables.h"

namespace vortex::server {
namespace {

using enum Support;

constexpr double kMostTokens = 2'147'483'647;

constexpr std::string_view kMessages = R"({"type": "array", "minItems": 1, "items": {"type": "object",
  "required": ["role"], "properties": {
    "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
    "content": {"oneOf": [{"type": "string"}, {"type": "null"}, {"type": "array", "minItems": 1, "items": {
      "type": "object", "required": ["type", "text"], "properties": {
        "type": {"const": "text"}, "text": {"type": "string"}}}}]},
    "name": {"type": "string"}, "tool_call_id": {"type": "string"}, "reasoning_content": {"type": "string"},
    "tool_calls": {"type": "array", "items": {"type": "object", "required": ["function"], "properties": {
      "id": {"type": "string"}, "type": {"const": "function"}, "function": {"type": "object",
      "required": ["name", "arguments"], "properties": {"name": {"type": "string"},
      "arguments": {"type": "string"}}}}}}}}})";
constexpr std::string_view kTools = R"({"type": "array", "minItems": 1, "maxItems": 128, "items": {"type": "object",
  "required": ["type", "function"], "properties": {"type": {"const": "function"}, "function": {"type": "object",
  "required": ["name"], "properties": {"name": {"type": "string", "pattern": "^[a-zA-Z0-9_.-]{1,64}$"},
  "description": {"type": "string"}, "parameters": {"type": "object"}, "strict": {"type": "boolean"}}}}}})";
constexpr std::string_view kToolChoice = R"({"oneOf": [{"enum": ["none", "auto", "required"]}, {"type": "object",
  "required": ["type", "function"], "properties": {"type": {"const": "function"}, "function": {"type": "object",
  "required": ["name"], "properties": {"name": {"type": "string"}}}}}]})";

std::vector<FieldSpec> conversation_fields() {
  return {
      {.name = "messages",
       .types = kArray,
       .doc = "The conversation. Content is text, or parts of type text.",
       .items = kObject,
       .min_size = 1,
       .max_size = 16384,
       .required = true,
       .schema = kMessages},
      {.name = "tools",
       .types = kArray,
       .doc = "Functions that the model may call.",
       .items = kObject,
       .min_size = 1,
       .max_size = 128,
       .schema = kTools},
      {.name = "tool_choice",
       .types = kString | kObject,
       .doc = "none, auto, required, or one function by name.",
       .default_text = "auto with tools",
       .schema = kToolChoice},
      {.name = "parallel_tool_calls",
       .types = kBool,
       .doc = "false: only the first call of an answer is returned.",
       .default_text = "true"},
      {.name = "add_generation_prompt",
       .types = kBool,
       .doc = "Open the assistant's turn after the messages.",
       .default_text = "true"},
      {.name = "continue_final_message",
       .types = kBool,
       .doc = "Go on with the last message instead of answering it.",
       .default_text = "false"},
      {.name = "echo", .types = kBool, .doc = "Of /v1/completions.", .support = kOnly, .accepted = {"false"}},
      {.name = "add_special_tokens",
       .types = kBool,
       .doc = "Only false: the template writes them.",
       .support = kOnly,
       .accepted = {"false"},
       .default_text = "false"},
      {.name = "chat_template_kwargs",
       .types = kObject,
       .doc = "Variables for the template: enable_thinking, thinking, thinking_budget, reasoning_effort, and others "
              "that docs/serving.md lists.",
       .max_size = 16},
      {.name = "documents",
       .types = kArray,
       .doc = "Documents for templates that take them.",
       .items = kObject,
       .max_size = 1024},
      {.name = "reasoning_effort",
       .types = kString,
       .doc = "Handed to the chat template.",
       .choices = {"none", "minimal", "low", "medium", "high", "xhigh", "max"}},
      {.name = "include_reasoning",
       .types = kBool,
       .doc = "false leaves reasoning_content out of the answer.",
       .default_text = "true"},
      {.name = "logprobs", .types = kBool, .doc = "Log-probabilities of the answer's tokens.", .default_text = "false"},
      {.name = "top_logprobs",
       .types = kInteger,
       .doc = "That many of the likeliest tokens beside each; needs logprobs.",
       .range = FieldRange{0, kMostTokens}},
      {.name = "max_completion_tokens",
       .types = kInteger,
       .doc = "Most tokens of the answer.",
       .range = FieldRange{1, kMostTokens},
       .default_text = "the rest of the context"},
      {.name = "max_tokens",
       .types = kInteger,
       .doc = "The older name of max_completion_tokens, which wins.",
       .range = FieldRange{1, kMostTokens}},
  };
}

std::vector<FieldSpec> other_fields() {
  return {
      {.name = "metadata", .types = kObject, .doc = "Never stored.", .support = kNoEffect, .max_size = 16},
      {.name = "store", .types = kBool, .doc = "Nothing is stored.", .support = kOnly, .accepted = {"false"}},
      {.name = "service_tier",
       .types = kString,
       .doc = "There is one.",
       .support = kOnly,
       .accepted = {R"("auto")", R"("default")"}},
      {.name = "modalities", .types = kArray, .doc = "Text only.", .support = kOnly, .accepted = {R"(["text"])"}},
      {.name = "safety_identifier", .types = kString, .doc = "As user.", .support = kNoEffect, .max_size = 512},
      {.name = "prompt_cache_key", .types = kString, .doc = "See cache_salt.", .support = kNoEffect, .max_size = 512},
      {.name = "prompt_cache_retention", .doc = "Not built.", .support = kRefused},
      {.name = "verbosity", .doc = "Not built.", .support = kRefused},
      {.name = "audio", .doc = "Not built.", .support = kRefused},
      {.name = "prediction", .doc = "Not built.", .support = kRefused},
      {.name = "web_search_options", .doc = "Not built.", .support = kRefused},
      {.name = "functions", .doc = "Use tools.", .support = kRefused},
      {.name = "function_call", .doc = "Use tool_choice.", .support = kRefused},
      {.name = "chat_template", .doc = "Templates come from the operator only.", .support = kRefused},
      {.name = "media_io_kwargs", .doc = "Text only.", .support = kRefused},
      {.name = "mm_processor_kwargs", .doc = "Text only.", .support = kRefused},
      {.name = "thinking_token_budget", .doc = "Not built.", .support = kRefused},
      {.name = "repetition_detection", .doc = "Not built.", .support = kRefused},
      {.name = "best_of", .types = kInteger, .doc = "Of /v1/completions.", .support = kOnly, .accepted = {"1"}},
  };
}

Schema make_schema() {
  Schema schema{"CreateChatCompletionRequest", conversation_fields()};
  for (const auto& part : {generation_fields(), other_fields()})
    schema.fields.insert(schema.fields.end(), part.begin(), part.end());
  return schema;
}

}  // namespace

const Schema& chat_schema() {
  static const Schema schema = make_schema();
  return schema;
}

}  // namespace vortex::server
