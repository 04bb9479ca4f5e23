#include "server/token_answers.h"

#include "server/request/field_tables.h"
#include "server/request/prompt_encoder.h"
#include "server/response/error_answer.h"
#include "text/utf8.h"

namespace vortex::server {
namespace {

ApiResult<Fields> read_fields(const Schema& schema, std::string_view body, const RequestContext& context) {
  VORTEX_ASSIGN_OR_RETURN(Json json, parse_body(body));
  VORTEX_ASSIGN_OR_RETURN(Fields fields, Fields::check(schema, std::move(json), context.limits.strict_fields));
  VORTEX_ASSIGN_OR_RETURN([[maybe_unused]] const std::string model, read_model(fields, context));
  return fields;
}

ApiResult<std::vector<int32_t>> tokens_of(const Fields& fields, const RequestContext& context) {
  if (fields.has("messages")) {
    VORTEX_ASSIGN_OR_RETURN(const ChatRequest request, read_conversation(fields));
    VORTEX_ASSIGN_OR_RETURN(EncodedConversation encoded, encode_conversation(context, request));
    return std::move(encoded.tokens);
  }
  const bool llama_spelling = !fields.has("prompt") && fields.has("content");
  const char* const name = llama_spelling ? "content" : "prompt";
  if (!fields.has(name)) return missing_parameter("prompt", "prompt, content or messages is required.");
  const bool special = fields.flag("add_special", fields.flag("add_special_tokens", !llama_spelling));
  return encode_text(context, fields.text(name), special, name);
}

Json pieces_json(const std::vector<int32_t>& tokens, const text::Tokenizer& tokenizer) {
  Json out = Json::array();
  for (const int32_t id : tokens)
    out.push_back({{"id", id}, {"piece", text::repaired_utf8(tokenizer.token_bytes(id))}});
  return out;
}

Json strings_json(const std::vector<int32_t>& tokens, const text::Tokenizer& tokenizer) {
  Json out = Json::array();
  for (const int32_t id : tokens) out.push_back(tokenizer.token_piece(id));
  return out;
}

ApiResult<Json> tokenize(const RequestContext& context, std::string_view body) {
  VORTEX_ASSIGN_OR_RETURN(const Fields fields, read_fields(tokenize_schema(), body, context));
  VORTEX_ASSIGN_OR_RETURN(const std::vector<int32_t> tokens, tokens_of(fields, context));
  const text::Tokenizer& tokenizer = context.codec->tokenizer();
  Json out = {{"count", tokens.size()}, {"max_model_len", context.max_model_len}};
  out["tokens"] = fields.flag("with_pieces", false) ? pieces_json(tokens, tokenizer) : Json(tokens);
  out["token_strs"] = fields.flag("return_token_strs", false) ? strings_json(tokens, tokenizer) : Json(nullptr);
  return out;
}

ApiResult<Json> detokenize(const RequestContext& context, std::string_view body) {
  VORTEX_ASSIGN_OR_RETURN(const Fields fields, read_fields(detokenize_schema(), body, context));
  if (context.codec == nullptr) return not_supported("tokens", "The model has no tokenizer.");
  std::vector<int32_t> tokens;
  for (const int64_t id : fields.integers("tokens")) {
    if (id < 0 || id >= context.vocab_size)
      return invalid_value("tokens",
                           fmt::format("tokens holds {}, which is not from 0 to {}.", id, context.vocab_size - 1));
    tokens.push_back(static_cast<int32_t>(id));
  }
  const std::string text = context.codec->tokenizer().decode(tokens, /*skip_special=*/false);
  return Json{{"prompt", text}, {"content", text}};
}

HttpResponse answer(const ApiResult<Json>& result) {
  if (!result.ok()) return error_answer(result.error());
  return {.body = to_text(*result)};
}

}  // namespace

HttpResponse tokenize_answer(const RequestContext& context, std::string_view body) {
  return answer(tokenize(context, body));
}

HttpResponse detokenize_answer(const RequestContext& context, std::string_view body) {
  return answer(detokenize(context, body));
}

HttpResponse tokenizer_info_answer(const RequestContext& context) {
  if (context.codec == nullptr) return error_answer(not_supported("", "The model has no tokenizer."));
  const text::Tokenizer& tokenizer = context.codec->tokenizer();
  const auto piece = [&](int32_t id) { return id < 0 ? Json(nullptr) : Json(tokenizer.token_piece(id)); };
  const std::string& source = context.codec->chat_template_source();
  const Json info = {
      {"tokenizer_class", "VortexTokenizer"},      {"vocab_size", tokenizer.vocab_size()},
      {"model_max_length", context.max_model_len}, {"bos_token", piece(tokenizer.bos_id())},
      {"eos_token", piece(tokenizer.eos_id())},    {"pad_token", piece(tokenizer.pad_id())},
      {"unk_token", piece(tokenizer.unk_id())},    {"add_bos_token", tokenizer.adds_bos()},
      {"add_eos_token", tokenizer.adds_eos()},     {"chat_template", source.empty() ? Json(nullptr) : Json(source)}};
  return {.body = to_text(info)};
}

}  // namespace vortex::server
