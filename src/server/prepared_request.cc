#include "server/prepared_request.h"

#include "server/request/field_tables.h"
#include "server/request/prompt_encoder.h"

namespace vortex::server {
namespace {

ApiError client_left() { return {499, "cancelled", "The client left.", ""}; }

ApiStatus add_prompt(const GenerationRequest& request, std::vector<int32_t> ids, const char* param,
                     const Preparers& preparers, PreparedRequest* out) {
  GenerateRequest generate = request.generate;
  generate.prompt = std::move(ids);
  VORTEX_RETURN_IF_ERROR(
      fit_prompt(*preparers.context, request.truncate_prompt, generate.sampling.max_tokens, param, &generate.prompt));
  VORTEX_RETURN_IF_ERROR(preparers.check(generate));
  out->prompts.push_back(std::move(generate));
  return {};
}

ApiStatus compile_constraint(const Preparers& preparers, GenerationRequest* request) {
  if (!request->constraint) return {};
  auto compiled = preparers.compile_grammar(*request->constraint);
  if (!compiled.ok()) return compiled.error();
  request->generate.grammar = std::move(*compiled);
  return {};
}

/// What splits each answer. A constrained answer is the constraint's from its first token: nothing is thought before.
std::function<std::unique_ptr<OutputParser>()> parser_maker(const ChatRequest& request, bool opens_thinking,
                                                            const Preparers& preparers) {
  if (request.tool_mode == ToolMode::kRequired || request.tool_mode == ToolMode::kNamed)
    return [] { return make_forced_calls_parser(new_call_id); };
  ParserOptions options;
  options.new_call_id = new_call_id;
  if (request.tool_mode == ToolMode::kAuto) options.tool_parser = preparers.tool_call_parser;
  if (!request.reasoning_off && !request.generation.constraint) options.reasoning_parser = preparers.reasoning_parser;
  options.inside_reasoning = opens_thinking;
  return [options] { return *make_output_parser(options); };
}

ApiResult<PreparedRequest> prepare_chat(ChatRequest request, const Preparers& preparers) {
  GenerationRequest& generation = request.generation;
  PreparedRequest out;
  out.output = generation.output;
  out.output.forced_call = request.tool_mode == ToolMode::kNamed;
  VORTEX_RETURN_IF_ERROR(compile_constraint(preparers, &generation));
  VORTEX_ASSIGN_OR_RETURN(EncodedConversation encoded, encode_conversation(*preparers.context, request));
  VORTEX_RETURN_IF_ERROR(add_prompt(generation, std::move(encoded.tokens), "messages", preparers, &out));
  ChatOutput chat;
  chat.logprobs = generation.generate.sampling.logprobs >= 0;
  chat.include_reasoning = request.include_reasoning;
  chat.parallel_tool_calls = request.parallel_tool_calls;
  chat.make_parser = parser_maker(request, encoded.opens_thinking, preparers);
  out.format =
      make_chat_format(out.output, std::move(chat), TokenNames(preparers.context->codec, out.output.tokens_as_ids));
  return out;
}

ApiResult<std::vector<int32_t>> prompt_ids(const CompletionRequest& request, const TextOrIds& prompt,
                                           const RequestContext& context) {
  if (const auto* ids = std::get_if<std::vector<int32_t>>(&prompt)) return *ids;
  return encode_text(context, std::get<std::string>(prompt), request.add_special_tokens, "prompt");
}

/// The prompt as the answer repeats it.
std::string echo_text(const TextOrIds& prompt, const RequestContext& context) {
  if (const auto* text = std::get_if<std::string>(&prompt)) return *text;
  if (context.codec == nullptr) return "";
  return context.codec->tokenizer().decode(std::get<std::vector<int32_t>>(prompt), /*skip_special=*/false);
}

ApiResult<PreparedRequest> prepare_completion(CompletionRequest request, const Preparers& preparers,
                                              const std::function<bool()>& cancelled) {
  GenerationRequest& generation = request.generation;
  PreparedRequest out;
  out.output = generation.output;
  VORTEX_RETURN_IF_ERROR(compile_constraint(preparers, &generation));
  CompletionOutput completion;
  for (const TextOrIds& prompt : request.prompts) {
    if (cancelled()) return client_left();
    VORTEX_ASSIGN_OR_RETURN(auto ids, prompt_ids(request, prompt, *preparers.context));
    VORTEX_RETURN_IF_ERROR(add_prompt(generation, std::move(ids), "prompt", preparers, &out));
    if (request.echo) completion.echoes.push_back(echo_text(prompt, *preparers.context));
  }
  completion.logprobs = out.output.hidden_logprobs ? -1 : generation.generate.sampling.logprobs;
  out.format = make_completion_format(out.output, std::move(completion),
                                      TokenNames(preparers.context->codec, out.output.tokens_as_ids));
  return out;
}

}  // namespace

GenerationRequest& ReadRequest::generation() {
  return std::visit([](auto& r) -> GenerationRequest& { return r.generation; }, request);
}

int64_t ReadRequest::sequences() const {
  if (const auto* chat = std::get_if<ChatRequest>(&request)) return chat->generation.generate.n;
  const auto& completion = std::get<CompletionRequest>(request);
  return static_cast<int64_t>(completion.prompts.size()) * completion.generation.generate.n;
}

ApiResult<ReadRequest> read_request(Endpoint endpoint, std::string_view body, const RequestContext& context) {
  VORTEX_ASSIGN_OR_RETURN(Json json, parse_body(body));
  const Schema& schema = endpoint == Endpoint::kChat ? chat_schema() : completion_schema();
  VORTEX_ASSIGN_OR_RETURN(const Fields fields, Fields::check(schema, std::move(json), context.limits.strict_fields));
  ReadRequest read;
  read.unknown_fields = fields.unknown();
  if (endpoint == Endpoint::kChat) {
    VORTEX_ASSIGN_OR_RETURN(read.request, read_chat(fields, context));
  } else {
    VORTEX_ASSIGN_OR_RETURN(read.request, read_completion(fields, context));
  }
  VORTEX_RETURN_IF_ERROR(sample::validate(read.generation().generate.sampling, context.vocab_size));
  return read;
}

ApiResult<PreparedRequest> prepare(ReadRequest request, const Preparers& preparers,
                                   const std::function<bool()>& cancelled) {
  if (cancelled()) return client_left();
  if (auto* chat = std::get_if<ChatRequest>(&request.request)) return prepare_chat(std::move(*chat), preparers);
  return prepare_completion(std::move(std::get<CompletionRequest>(request.request)), preparers, cancelled);
}

}  // namespace vortex::server
