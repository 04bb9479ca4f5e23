#include "server/request/completion_request.h"

#include <algorithm>

namespace vortex::server {
namespace {

ApiResult<std::vector<int32_t>> read_ids(const Json& list, const RequestContext& context) {
  std::vector<int32_t> ids;
  ids.reserve(list.size());
  for (const Json& item : list) {
    const std::optional<int64_t> id = as_integer(item);
    if (!id || *id < 0 || *id >= context.vocab_size)
      return invalid_value("prompt", fmt::format("prompt holds {}, which is not a token id from 0 to {}.",
                                                 to_text(item).substr(0, 40), context.vocab_size - 1));
    ids.push_back(static_cast<int32_t>(*id));
  }
  if (ids.empty()) return invalid_value("prompt", "prompt holds an empty list of token ids.");
  return ids;
}

ApiResult<TextOrIds> read_prompt(const Json& value, const RequestContext& context) {
  if (value.is_string() && !value.get_ref<const std::string&>().empty()) return TextOrIds(value.get<std::string>());
  if (value.is_string()) return invalid_value("prompt", "prompt holds an empty text.");
  if (!value.is_array()) return invalid_type("prompt", "prompt must hold texts only, or lists of token ids only.");
  VORTEX_ASSIGN_OR_RETURN(auto ids, read_ids(value, context));
  return TextOrIds(std::move(ids));
}

ApiResult<std::vector<TextOrIds>> read_prompts(const Json& prompt, const RequestContext& context) {
  std::vector<TextOrIds> prompts;
  const bool one = prompt.is_string() || (prompt.is_array() && !prompt.empty() && prompt[0].is_number());
  if (one) {
    VORTEX_ASSIGN_OR_RETURN(TextOrIds only, read_prompt(prompt, context));
    prompts.push_back(std::move(only));
    return prompts;
  }
  for (const Json& item : prompt) {
    if (item.type() != prompt[0].type())
      return invalid_type("prompt", "prompt must hold texts only, or lists of token ids only.");
    VORTEX_ASSIGN_OR_RETURN(TextOrIds next, read_prompt(item, context));
    prompts.push_back(std::move(next));
  }
  return prompts;
}

/// Of `best_of` answers the best n are returned: they need log-probabilities to be ranked.
ApiStatus read_best_of(const Fields& fields, const RequestContext& context, GenerationRequest* request) {
  const int64_t best_of = fields.integer("best_of", request->output.n);
  if (best_of < request->output.n || best_of > context.limits.max_n)
    return invalid_value("best_of", fmt::format("best_of must be from n ({}) to {}, not {}.", request->output.n,
                                                context.limits.max_n, best_of));
  if (best_of == request->output.n) return {};
  if (request->output.stream) return invalid_value("best_of", "best_of above n cannot be streamed.");
  request->generate.n = static_cast<int>(best_of);
  int& logprobs = request->generate.sampling.logprobs;
  request->output.hidden_logprobs = logprobs < 0;
  logprobs = std::max(logprobs, 0);
  return {};
}

ApiStatus read_echo(const Fields& fields, CompletionRequest* request) {
  sample::SamplingParams& sampling = request->generation.generate.sampling;
  request->echo = fields.flag("echo", false);
  if (sampling.max_tokens == 0 && !request->echo)
    return invalid_value("max_tokens", "max_tokens must be at least 1, or 0 with echo.");
  if (!request->echo || sampling.logprobs < 0) return {};
  if (request->generation.output.stream)
    return invalid_value("echo", "echo with logprobs cannot be streamed: leave one of the three out.");
  sampling.prompt_logprobs = std::max(sampling.prompt_logprobs, sampling.logprobs);
  return {};
}

}  // namespace

ApiResult<CompletionRequest> read_completion(const Fields& fields, const RequestContext& context) {
  CompletionRequest request;
  VORTEX_ASSIGN_OR_RETURN(request.generation, read_generation(fields, context));
  VORTEX_ASSIGN_OR_RETURN(request.prompts, read_prompts(fields["prompt"], context));
  request.add_special_tokens = fields.flag("add_special_tokens", true);
  sample::SamplingParams& sampling = request.generation.generate.sampling;
  read_max_tokens(fields, &sampling);
  sampling.logprobs = static_cast<int>(fields.integer("logprobs", -1));
  VORTEX_RETURN_IF_ERROR(check_logprobs("logprobs", sampling.logprobs, context));
  VORTEX_RETURN_IF_ERROR(read_echo(fields, &request));
  VORTEX_RETURN_IF_ERROR(read_best_of(fields, context, &request.generation));
  const auto sequences = static_cast<int64_t>(request.prompts.size()) * request.generation.generate.n;
  if (sequences > context.limits.max_sequences)
    return invalid_value(
        "prompt", fmt::format("{} prompts and answers are more than this server ever takes at once: {}.", sequences,
                              context.limits.max_sequences));
  return request;
}

}  // namespace vortex::server
