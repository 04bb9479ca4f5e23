#include "sample/sampling_params.h"

#include <cmath>

namespace vortex::sample {
namespace {

template <class T>
Status check(bool ok, const char* name, T value, const char* range) {
  if (ok) return {};
  return Error{ErrorCode::kInvalidArgument, name, fmt::format("{} is out of range", value),
               fmt::format("give {}", range)};
}

/// Ids that stop, and ids with a bias.
Status check_tokens(const SamplingParams& p, int64_t vocab_size) {
  const auto known = [&](int32_t token) { return token >= 0 && token < vocab_size; };
  const std::string range = fmt::format("token ids from 0 to {}", vocab_size - 1);
  for (int32_t token : p.stop_token_ids)
    VORTEX_RETURN_IF_ERROR(check(known(token), "stop_token_ids", token, range.c_str()));
  for (const auto& [token, bias] : p.logit_bias) {
    VORTEX_RETURN_IF_ERROR(check(known(token), "logit_bias", token, range.c_str()));
    VORTEX_RETURN_IF_ERROR(check(bias >= -100 && bias <= 100, "logit_bias", bias, "-100 to 100"));
  }
  return {};
}

}  // namespace

Status validate(const SamplingParams& p, int64_t vocab_size) {
  const auto between = [](double x, double low, double high) { return x >= low && x <= high; };  // false for NaN
  VORTEX_RETURN_IF_ERROR(check(between(p.temperature, 0, 100), "temperature", p.temperature, "0 to 100"));
  VORTEX_RETURN_IF_ERROR(check(p.top_k >= -1, "top_k", p.top_k, "-1, 0 or a positive count"));
  VORTEX_RETURN_IF_ERROR(check(between(p.top_p, 0, 1) && p.top_p > 0, "top_p", p.top_p, "a number above 0, at most 1"));
  VORTEX_RETURN_IF_ERROR(check(between(p.min_p, 0, 1), "min_p", p.min_p, "0 to 1"));
  VORTEX_RETURN_IF_ERROR(
      check(between(p.repetition_penalty, 1e-3, 1e3), "repetition_penalty", p.repetition_penalty, "0.001 to 1000"));
  VORTEX_RETURN_IF_ERROR(check(between(p.presence_penalty, -2, 2), "presence_penalty", p.presence_penalty, "-2 to 2"));
  VORTEX_RETURN_IF_ERROR(
      check(between(p.frequency_penalty, -2, 2), "frequency_penalty", p.frequency_penalty, "-2 to 2"));
  VORTEX_RETURN_IF_ERROR(check(p.max_tokens >= -1, "max_tokens", p.max_tokens, "a count, or -1 for all there is"));
  VORTEX_RETURN_IF_ERROR(check(p.logprobs >= -1 && p.logprobs <= vocab_size, "logprobs", p.logprobs, "-1 or a count"));
  VORTEX_RETURN_IF_ERROR(check(p.prompt_logprobs >= -1 && p.prompt_logprobs <= vocab_size, "prompt_logprobs",
                               p.prompt_logprobs, "-1 or a count"));
  VORTEX_RETURN_IF_ERROR(check(p.min_tokens >= 0, "min_tokens", p.min_tokens, "at least 0"));
  for (const std::string& stop : p.stop)
    VORTEX_RETURN_IF_ERROR(check(!stop.empty() && stop.size() <= 4096, "stop", stop.size(), "1 to 4096 bytes each"));
  return check_tokens(p, vocab_size);
}

}  // namespace vortex::sample
