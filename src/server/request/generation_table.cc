#include "server/request/field_tables.h"

namespace vortex::server {
namespace {

using enum Support;

constexpr double kMostTokens = 16'777'216;
constexpr double kMostCount = 2'147'483'647;

constexpr std::string_view kStreamOptions = R"({"type": "object", "properties": {
  "include_usage": {"type": "boolean"}, "continuous_usage_stats": {"type": "boolean"}}})";
constexpr std::string_view kResponseFormat = R"({"oneOf": [
  {"type": "object", "required": ["type"], "properties": {"type": {"const": "text"}}},
  {"type": "object", "required": ["type"], "properties": {"type": {"const": "json_object"}, "schema": {"type": "object"}}},
  {"type": "object", "required": ["type", "json_schema"], "properties": {"type": {"const": "json_schema"},
   "json_schema": {"type": "object", "required": ["schema"], "properties": {"name": {"type": "string"},
   "schema": {"type": "object"}, "strict": {"type": "boolean"}}}}}]})";
constexpr std::string_view kStructuredOutputs = R"({"type": "object", "properties": {
  "json": {"type": ["object", "string"]}, "json_object": {"type": "boolean"}, "regex": {"type": "string"},
  "choice": {"type": "array", "items": {"type": "string"}}, "grammar": {"type": "string"}}})";
constexpr std::string_view kVortex = R"({"type": "object", "additionalProperties": false, "properties": {
  "topk_val": {"type": "integer", "minimum": 0}, "topk_ratio": {"type": "number", "minimum": 0, "maximum": 1},
  "dense": {"type": "boolean"}, "report": {"type": "boolean"}}})";

std::vector<FieldSpec> sampling_fields() {
  return {
      {.name = "temperature",
       .types = kNumber,
       .doc = "0 takes the likeliest token always.",
       .range = FieldRange{0, 100},
       .default_text = "the model's"},
      {.name = "top_p",
       .types = kNumber,
       .doc = "Smallest set of tokens with this much probability; above 0.",
       .range = FieldRange{0, 1},
       .default_text = "the model's"},
      {.name = "top_k",
       .types = kInteger,
       .doc = "The k likeliest tokens; 0 or -1 keeps all.",
       .range = FieldRange{-1, kMostCount},
       .default_text = "the model's"},
      {.name = "min_p",
       .types = kNumber,
       .doc = "Tokens at least this likely relative to the likeliest.",
       .range = FieldRange{0, 1},
       .default_text = "the model's"},
      {.name = "presence_penalty",
       .types = kNumber,
       .doc = "Subtracted from the logits of tokens generated so far, once.",
       .range = FieldRange{-2, 2},
       .default_text = "0"},
      {.name = "frequency_penalty",
       .types = kNumber,
       .doc = "Subtracted for each time a token was generated.",
       .range = FieldRange{-2, 2},
       .default_text = "0"},
      {.name = "repetition_penalty",
       .types = kNumber,
       .doc = "Divides positive and multiplies negative logits of tokens seen so far.",
       .range = FieldRange{0.001, 1000},
       .default_text = "the model's"},
      {.name = "logit_bias",
       .types = kObject,
       .doc = "Token id to a number from -100 to 100 that is added to its logit.",
       .max_size = 1024,
       .schema = R"({"type": "object", "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100}})"},
      {.name = "seed", .types = kInteger, .doc = "The same seed and request give the same answer."},
      {.name = "stop",
       .types = kString | kArray,
       .doc = "Up to 4 texts that end the answer, of 1 to 4096 bytes each.",
       .items = kString,
       .max_size = 4096,
       .schema = R"({"oneOf": [{"type": "string", "minLength": 1, "maxLength": 1024}, {"type": "array", "maxItems": 4,
  "items": {"type": "string", "minLength": 1, "maxLength": 1024}}]})"},
      {.name = "stop_token_ids",
       .types = kArray,
       .doc = "Tokens that end the answer.",
       .items = kInteger,
       .max_size = 64},
      {.name = "include_stop_str_in_output",
       .types = kBool,
       .doc = "Keep the stop text in the answer.",
       .default_text = "false"},
      {.name = "ignore_eos", .types = kBool, .doc = "Go on after an end-of-text token.", .default_text = "false"},
      {.name = "min_tokens",
       .types = kInteger,
       .doc = "No end of text before this many tokens.",
       .range = FieldRange{0, kMostTokens},
       .default_text = "0"},
      {.name = "skip_special_tokens", .types = kBool, .doc = "Special tokens give no text.", .default_text = "true"},
      {.name = "spaces_between_special_tokens",
       .types = kBool,
       .doc = "Only true: special tokens are not joined.",
       .support = kOnly,
       .accepted = {"true"},
       .default_text = "true"},
      {.name = "prompt_logprobs",
       .types = kInteger,
       .doc = "Log-probabilities of the prompt's tokens, with this many of the likeliest; not with stream.",
       .range = FieldRange{0, kMostCount}},
      {.name = "n",
       .types = kInteger,
       .doc = "Answers to each prompt.",
       .range = FieldRange{1, kMostCount},
       .default_text = "1"},
  };
}

std::vector<FieldSpec> output_fields() {
  return {
      {.name = "model", .types = kString, .doc = "A name of /v1/models.", .default_text = "the model that is served"},
      {.name = "stream",
       .types = kBool,
       .doc = "Send the answer in server-sent events as it is made.",
       .default_text = "false"},
      {.name = "stream_options",
       .types = kObject,
       .doc = "include_usage: a last event with usage; continuous_usage_stats: usage in every event.",
       .schema = kStreamOptions},
      {.name = "return_token_ids",
       .types = kBool,
       .doc = "Token ids of prompt and answer beside the text.",
       .default_text = "false"},
      {.name = "return_tokens_as_token_ids",
       .types = kBool,
       .doc = "Tokens in logprobs as 'token_id:N'.",
       .default_text = "false"},
      {.name = "response_format",
       .types = kObject,
       .doc = "text, json_object or json_schema.",
       .schema = kResponseFormat},
      {.name = "structured_outputs",
       .types = kObject,
       .doc = "One of json, json_object, regex, choice, grammar.",
       .schema = kStructuredOutputs},
      {.name = "guided_json", .types = kObject | kString, .doc = "As structured_outputs.json."},
      {.name = "guided_regex", .types = kString, .doc = "As structured_outputs.regex."},
      {.name = "guided_choice", .types = kArray, .doc = "As structured_outputs.choice.", .items = kString},
      {.name = "guided_grammar", .types = kString, .doc = "As structured_outputs.grammar."},
      {.name = "grammar", .types = kString, .doc = "As structured_outputs.grammar; llama.cpp's spelling."},
      {.name = "vortex",
       .types = kObject,
       .doc = "Sparse attention of this request: topk_val, topk_ratio, dense; report: say what was read.",
       .schema = kVortex},
  };
}

std::vector<FieldSpec> service_fields() {
  return {
      {.name = "priority",
       .types = kInteger,
       .doc = "Lower runs first.",
       .range = FieldRange{-kMostCount, kMostCount},
       .default_text = "0"},
      {.name = "cache_salt",
       .types = kString,
       .doc = "Pages are shared only between requests of equal salt.",
       .min_size = 1,
       .max_size = 256},
      {.name = "truncate_prompt_tokens",
       .types = kInteger,
       .doc = "Keep the last tokens of the prompt only; -1: as many as the context holds.",
       .range = FieldRange{-1, kMostTokens}},
      {.name = "request_id",
       .types = kString,
       .doc = "The header x-request-id names a request.",
       .support = kNoEffect,
       .max_size = 256},
      {.name = "user", .types = kString, .doc = "Never stored or logged.", .support = kNoEffect, .max_size = 512},
      {.name = "allowed_token_ids", .doc = "Not built.", .support = kRefused},
      {.name = "bad_words", .doc = "Not built.", .support = kRefused},
      {.name = "use_beam_search", .types = kBool, .doc = "Not built.", .support = kOnly, .accepted = {"false"}},
      {.name = "length_penalty",
       .types = kNumber,
       .doc = "Of beam search.",
       .support = kOnly,
       .accepted = {"1", "1.0"}},
      {.name = "logits_processors", .doc = "No code comes with a request.", .support = kRefused},
      {.name = "guided_decoding_backend", .doc = "There is one.", .support = kRefused},
      {.name = "guided_whitespace_pattern", .doc = "Not built.", .support = kRefused},
      {.name = "structural_tag", .doc = "Not built.", .support = kRefused},
      {.name = "kv_transfer_params", .doc = "Not built.", .support = kRefused},
      {.name = "vllm_xargs", .doc = "Not built.", .support = kRefused},
  };
}

}  // namespace

std::vector<FieldSpec> generation_fields() {
  std::vector<FieldSpec> fields = output_fields();
  for (const auto& part : {sampling_fields(), service_fields()}) fields.insert(fields.end(), part.begin(), part.end());
  return fields;
}

}  // namespace vortex::server
