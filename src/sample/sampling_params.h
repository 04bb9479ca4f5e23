// SamplingParams: how the next token is chosen, and when to stop. Names and defaults as vLLM's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace vortex::sample {

struct SamplingParams {
  double temperature = 1.0;         // 0: greedy
  int top_k = 0;                    // keep the k most likely; 0 or -1: all
  double top_p = 1.0;               // keep the smallest set with this mass
  double min_p = 0.0;               // keep tokens at least this likely relative to the best
  double repetition_penalty = 1.0;  // divides positive, multiplies negative logits of tokens seen so far
  double presence_penalty = 0.0;    // subtracted from the logits of tokens generated so far, once
  double frequency_penalty = 0.0;   // subtracted for each time such a token was generated
  std::vector<std::pair<int32_t, float>> logit_bias;  // added to the logits of these tokens
  std::optional<uint64_t> seed;                       // absent: from the engine's seed and the request's number
  int64_t max_tokens = -1;                            // -1: to the end of the context
  int64_t min_tokens = 0;                             // no end-of-text before this many
  bool ignore_eos = false;
  std::vector<std::string> stop;  // texts that end generation
  std::vector<int32_t> stop_token_ids;
  bool include_stop_str_in_output = false;  // the stop string stays part of the text
  bool skip_special_tokens = true;          // special tokens give no text
  int logprobs = -1;         // log-probabilities of the tokens, with this many of the most likely; -1: none
  int prompt_logprobs = -1;  // the same for the prompt; it is computed whole, cached pages or not

  bool greedy() const { return temperature == 0.0; }
};

/// kInvalidArgument naming the parameter, its value and its range. `vocab_size` bounds token ids.
Status validate(const SamplingParams& params, int64_t vocab_size = INT32_MAX);

}  // namespace vortex::sample
