// What chat and text completions have in common, out of their fields.
#pragma once

#include <optional>
#include <string>

#include "engine/completion.h"
#include "grammar/grammar.h"
#include "server/request/fields.h"
#include "server/request/request_context.h"

namespace vortex::server {

/// How an answer is written.
struct OutputOptions {
  std::string model;  // as the request named it
  bool stream = false;
  bool include_usage = false;     // streams: a last event with usage
  bool continuous_usage = false;  // streams: usage in every event
  bool token_ids = false;
  bool tokens_as_ids = false;  // logprobs show "token_id:7"
  bool sparsity_report = false;
  bool hidden_logprobs = false;  // asked of the engine to rank the answers, not by the client
  bool forced_call = false;      // by name: its finish_reason stays "stop", as OpenAI's
  int prompt_logprobs = -1;      // as the client asked; echo needs them too
  int n = 1;                     // answers returned for each prompt; GenerateRequest::n were made
};

struct GenerationRequest {
  OutputOptions output;
  GenerateRequest generate;  // but for the prompt
  std::optional<grammar::GrammarSource> constraint;
  std::optional<int64_t> truncate_prompt;  // keep that many last tokens of the prompt
};

/// The fields of generation_fields(). 400 naming the field, 404 model_not_found.
ApiResult<GenerationRequest> read_generation(const Fields& fields, const RequestContext& context);

/// Sets the most tokens of an answer from max_completion_tokens, or max_tokens.
void read_max_tokens(const Fields& fields, sample::SamplingParams* sampling);
/// 400 where `count` is more than the operator's --max-logprobs.
ApiStatus check_logprobs(const char* field, int64_t count, const RequestContext& context);
/// The model that was asked for, or the default. 404 model_not_found.
ApiResult<std::string> read_model(const Fields& fields, const RequestContext& context);

}  // namespace vortex::server
