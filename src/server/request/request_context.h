// What requests are checked against: the model and the limits its operator set.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/text_codec.h"
#include "sample/sampling_params.h"

namespace vortex::server {

struct RequestLimits {
  int64_t max_logprobs = 20;
  int64_t max_n = 128;              // answers to one prompt
  int64_t max_sequences = 1088;     // of one request: what the queue and the engine hold together
  bool strict_fields = false;       // an unknown field is an error
  bool request_budgets = true;      // requests may choose their own number of pages
  std::optional<int64_t> max_topk;  // the largest of them
};

struct RequestContext {
  std::vector<std::string> model_names;  // the first one is the default
  const TextCodec* codec = nullptr;      // null: token ids only
  int64_t max_model_len = 0;
  int64_t vocab_size = 0;
  int64_t max_prompt_bytes = 0;  // a longer text cannot fit the context
  sample::SamplingParams default_sampling;
  RequestLimits limits;
};

}  // namespace vortex::server
