// Log-probabilities of tokens, for reports.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace vortex::sample {

/// Natural logarithm of a token's probability by the model alone: before temperature, penalties, bias and grammar.
struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
  int64_t rank = 0;  // 1: the most likely; equal ones share the best rank among them
};

/// A token, and the most likely ones in its place, best first, ties to the lower id.
struct TokenLogprobs {
  TokenLogprob chosen;
  std::vector<TokenLogprob> top;
};

/// Of `token` and the `count` best under `logits` [vocab], which are finite. The sum is taken in double.
TokenLogprobs token_logprobs(std::span<const float> logits, int32_t token, int count);

}  // namespace vortex::sample
