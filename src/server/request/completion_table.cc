#include "server/request/field_tables.h"

namespace vortex::server {
namespace {

using enum Support;

constexpr double kMostTokens = 2'147'483'647;

constexpr std::string_view kPrompt = R"({"oneOf": [{"type": "string", "minLength": 1},
  {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}},
  {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 0}},
  {"type": "array", "minItems": 1, "items": {"type": "array", "minItems": 1, "items": {"type": "integer",
   "minimum": 0}}}]})";

Schema make_completion_schema() {
  Schema schema{
      "CreateCompletionRequest",
      {
          {.name = "prompt",
           .types = kString | kArray,
           .doc = "A text, a list of texts, token ids, or a list of lists of token ids.",
           .items = kString | kInteger | kArray,
           .min_size = 1,
           .required = true,
           .schema = kPrompt},
          {.name = "max_tokens",
           .types = kInteger,
           .doc = "Most tokens of each answer; 0 with echo.",
           .range = FieldRange{0, kMostTokens},
           .default_text = "the rest of the context"},
          {.name = "max_completion_tokens",
           .types = kInteger,
           .doc = "As max_tokens, and wins.",
           .range = FieldRange{0, kMostTokens}},
          {.name = "best_of",
           .types = kInteger,
           .doc = "Answers that are made; the n with the highest mean log-probability are returned. Not with stream.",
           .range = FieldRange{1, kMostTokens},
           .default_text = "n"},
          {.name = "echo", .types = kBool, .doc = "Start each answer with its prompt.", .default_text = "false"},
          {.name = "logprobs",
           .types = kInteger,
           .doc = "Log-probabilities of the tokens, with this many of the likeliest.",
           .range = FieldRange{0, kMostTokens}},
          {.name = "add_special_tokens",
           .types = kBool,
           .doc = "Put the tokens around a text that the model wants there.",
           .default_text = "true"},
          {.name = "suffix", .doc = "Not built.", .support = kRefused},
          {.name = "prompt_embeds", .doc = "Not built.", .support = kRefused},
      }};
  for (const FieldSpec& field : generation_fields()) schema.fields.push_back(field);
  return schema;
}

}  // namespace

const Schema& completion_schema() {
  static const Schema schema = make_completion_schema();
  return schema;
}

const Schema& tokenize_schema() {
  static const Schema schema{
      "TokenizeRequest",
      {
          {.name = "model", .types = kString, .doc = "A name of /v1/models."},
          {.name = "prompt", .types = kString, .doc = "The text."},
          {.name = "content", .types = kString, .doc = "The text; llama.cpp's spelling."},
          {.name = "messages",
           .types = kArray,
           .doc = "A conversation, instead of a text.",
           .items = kObject,
           .min_size = 1,
           .max_size = 16384},
          {.name = "tools",
           .types = kArray,
           .doc = "Beside messages.",
           .items = kObject,
           .min_size = 1,
           .max_size = 128},
          {.name = "add_generation_prompt", .types = kBool, .doc = "Beside messages.", .default_text = "true"},
          {.name = "continue_final_message", .types = kBool, .doc = "Beside messages.", .default_text = "false"},
          {.name = "chat_template_kwargs", .types = kObject, .doc = "Beside messages.", .max_size = 16},
          {.name = "chat_template", .doc = "Templates come from the operator only.", .support = kRefused},
          {.name = "add_special_tokens",
           .types = kBool,
           .doc = "Put the tokens around a text that the model wants there.",
           .default_text = "true"},
          {.name = "add_special", .types = kBool, .doc = "The same; llama.cpp's spelling, false unless given."},
          {.name = "return_token_strs", .types = kBool, .doc = "Add token_strs.", .default_text = "false"},
          {.name = "with_pieces",
           .types = kBool,
           .doc = "Tokens as {id, piece}; llama.cpp's spelling.",
           .default_text = "false"},
      }};
  return schema;
}

const Schema& detokenize_schema() {
  static const Schema schema{"DetokenizeRequest",
                             {
                                 {.name = "model", .types = kString, .doc = "A name of /v1/models."},
                                 {.name = "tokens",
                                  .types = kArray,
                                  .doc = "Token ids.",
                                  .items = kInteger,
                                  .required = true,
                                  .schema = R"({"type": "array", "items": {"type": "integer", "minimum": 0}})"},
                             }};
  return schema;
}

}  // namespace vortex::server
