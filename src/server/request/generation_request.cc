#include "server/request/generation_request.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "server/request/constraint.h"
#include "server/request/sparsity_fields.h"

namespace vortex::server {
namespace {

constexpr size_t kMostStops = 4;
constexpr size_t kMostStopBytes = 4096;
constexpr float kMostBias = 100;

ApiResult<int32_t> token_in_vocabulary(const char* field, std::optional<int64_t> id, const RequestContext& context) {
  if (id && *id >= 0 && *id < context.vocab_size) return static_cast<int32_t>(*id);
  return invalid_value(field,
                       fmt::format("{} holds a token id that is not from 0 to {}.", field, context.vocab_size - 1));
}

ApiStatus read_stops(const Fields& fields, const RequestContext& context, sample::SamplingParams* sampling) {
  sampling->stop = fields.strings("stop");
  if (sampling->stop.size() > kMostStops)
    return invalid_value("stop",
                         fmt::format("stop has {} texts; at most {} are allowed.", sampling->stop.size(), kMostStops));
  for (const std::string& stop : sampling->stop)
    if (stop.empty() || stop.size() > kMostStopBytes)
      return invalid_value(
          "stop", fmt::format("a text of stop has {} bytes; from 1 to {} are allowed.", stop.size(), kMostStopBytes));
  for (const int64_t id : fields.integers("stop_token_ids")) {
    VORTEX_ASSIGN_OR_RETURN(const int32_t token, token_in_vocabulary("stop_token_ids", id, context));
    sampling->stop_token_ids.push_back(token);
  }
  return {};
}

std::optional<int64_t> whole_number(const std::string& text) {
  int64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

ApiStatus read_bias(const Fields& fields, const RequestContext& context, sample::SamplingParams* sampling) {
  const Json& bias = fields["logit_bias"];
  if (bias.is_null()) return {};
  for (const auto& [key, value] : bias.items()) {
    VORTEX_ASSIGN_OR_RETURN(const int32_t token, token_in_vocabulary("logit_bias", whole_number(key), context));
    if (!value.is_number() || !(std::abs(value.get<double>()) <= kMostBias))
      return invalid_value("logit_bias", fmt::format("logit_bias of token {} must be a number from -{} to {}.", token,
                                                     kMostBias, kMostBias));
    sampling->logit_bias.emplace_back(token, value.get<float>());
  }
  return {};
}

ApiStatus read_sampling(const Fields& fields, const RequestContext& context, sample::SamplingParams* p) {
  *p = context.default_sampling;
  p->temperature = fields.number("temperature", p->temperature);
  p->top_p = fields.number("top_p", p->top_p);
  p->top_k = static_cast<int>(fields.integer("top_k", p->top_k));
  p->min_p = fields.number("min_p", p->min_p);
  p->presence_penalty = fields.number("presence_penalty", p->presence_penalty);
  p->frequency_penalty = fields.number("frequency_penalty", p->frequency_penalty);
  p->repetition_penalty = fields.number("repetition_penalty", p->repetition_penalty);
  if (fields.has("seed")) p->seed = static_cast<uint64_t>(fields.integer("seed", 0));
  p->min_tokens = fields.integer("min_tokens", 0);
  p->ignore_eos = fields.flag("ignore_eos", false);
  p->include_stop_str_in_output = fields.flag("include_stop_str_in_output", false);
  p->skip_special_tokens = fields.flag("skip_special_tokens", true);
  p->prompt_logprobs = static_cast<int>(fields.integer("prompt_logprobs", -1));
  VORTEX_RETURN_IF_ERROR(check_logprobs("prompt_logprobs", p->prompt_logprobs, context));
  VORTEX_RETURN_IF_ERROR(read_stops(fields, context, p));
  return read_bias(fields, context, p);
}

ApiStatus read_stream_options(const Fields& fields, OutputOptions* output) {
  const Json& options = fields["stream_options"];
  if (options.is_null()) return {};
  if (!output->stream) return invalid_value("stream_options", "stream_options needs stream to be true.");
  for (const auto& [key, value] : options.items()) {
    const bool usage = key == "include_usage", continuous = key == "continuous_usage_stats";
    if (!usage && !continuous && key != "include_obfuscation") continue;
    if (!value.is_boolean() && !value.is_null())
      return invalid_type("stream_options", fmt::format("stream_options.{} must be a boolean.", key));
    const bool on = value.is_boolean() && value.get<bool>();
    if (usage) output->include_usage = on;
    if (continuous) output->continuous_usage = on;
    if (!usage && !continuous && on)
      return unsupported_parameter("stream_options", "stream_options.include_obfuscation is not supported.");
  }
  return {};
}

ApiStatus read_output(const Fields& fields, const RequestContext& context, OutputOptions* output) {
  VORTEX_ASSIGN_OR_RETURN(output->model, read_model(fields, context));
  output->stream = fields.flag("stream", false);
  output->token_ids = fields.flag("return_token_ids", false);
  output->tokens_as_ids = fields.flag("return_tokens_as_token_ids", false);
  output->n = static_cast<int>(fields.integer("n", 1));
  if (output->n > context.limits.max_n)
    return invalid_value("n", fmt::format("n must be at most {}, not {}.", context.limits.max_n, output->n));
  return read_stream_options(fields, output);
}

}  // namespace

ApiStatus check_logprobs(const char* field, int64_t count, const RequestContext& context) {
  if (count <= context.limits.max_logprobs) return {};
  return invalid_value(field, fmt::format("{} must be at most {}, not {}.", field, context.limits.max_logprobs, count));
}

ApiResult<std::string> read_model(const Fields& fields, const RequestContext& context) {
  if (!fields.has("model")) return context.model_names.front();
  const std::string name = fields.text("model");
  if (std::find(context.model_names.begin(), context.model_names.end(), name) != context.model_names.end()) return name;
  return ApiError{404, "model_not_found",
                  fmt::format("The model '{}' is not served here; {} is.", name.substr(0, 64),
                              fmt::join(context.model_names, ", ")),
                  "model"};
}

void read_max_tokens(const Fields& fields, sample::SamplingParams* sampling) {
  sampling->max_tokens = fields.integer("max_completion_tokens", fields.integer("max_tokens", -1));
}

ApiResult<GenerationRequest> read_generation(const Fields& fields, const RequestContext& context) {
  GenerationRequest request;
  GenerateRequest& generate = request.generate;
  VORTEX_RETURN_IF_ERROR(read_output(fields, context, &request.output));
  VORTEX_RETURN_IF_ERROR(read_sampling(fields, context, &generate.sampling));
  request.output.prompt_logprobs = generate.sampling.prompt_logprobs;
  if (request.output.stream && request.output.prompt_logprobs >= 0)
    return invalid_value("prompt_logprobs", "prompt_logprobs cannot be streamed.");
  generate.n = request.output.n;
  generate.priority = fields.integer("priority", 0);
  generate.cache_salt = fields.text("cache_salt");
  if (fields.has("truncate_prompt_tokens")) {
    request.truncate_prompt = fields.integer("truncate_prompt_tokens", -1);
    if (*request.truncate_prompt == 0)
      return invalid_value("truncate_prompt_tokens", "truncate_prompt_tokens must be -1 or at least 1.");
  }
  VORTEX_ASSIGN_OR_RETURN(request.constraint, read_constraint(fields));
  VORTEX_ASSIGN_OR_RETURN(const SparsityFields sparsity, read_sparsity(fields["vortex"], context));
  generate.sparsity = sparsity.request;
  request.output.sparsity_report = sparsity.report;
  return request;
}

}  // namespace vortex::server
