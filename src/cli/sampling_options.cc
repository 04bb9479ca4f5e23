#include "cli/sampling_options.h"

namespace vortex::cli {

void SamplingOptions::add_to(CLI::App& app) {
  constexpr const char* kGroup = "Sampling";
  app.add_option("--max-tokens,-n", max_tokens, "Most tokens to generate")->group(kGroup);
  app.add_option("--temperature", temperature, "0 is greedy")->group(kGroup);
  app.add_option("--top-k", top_k, "Keep the k most likely tokens")->group(kGroup);
  app.add_option("--top-p", top_p, "Keep the smallest set of tokens with this mass")->group(kGroup);
  app.add_option("--min-p", min_p, "Keep tokens this likely relative to the best")->group(kGroup);
  app.add_option("--repetition-penalty", repetition_penalty, "Above 1: repeat less")->group(kGroup);
  app.add_option("--sampling-seed", sampling_seed, "Seed of this request")->group(kGroup);
  app.add_option("--stop", stop, "Text that ends the answer; may be given several times")->group(kGroup);
  app.add_flag("--ignore-eos", ignore_eos, "Do not stop at the end-of-text token")->group(kGroup);
}

/// An answer of no tokens serves those who score a prompt over HTTP; here it would be a slip.
Status SamplingOptions::check() const {
  if (max_tokens == 0) return Error{ErrorCode::kUsage, "max_tokens", "0 is out of range", "give at least 1"};
  const Status status = sample::validate(apply({}, /*default_max_tokens=*/-1));
  if (status.ok()) return {};
  Error error = status.error();
  error.code = ErrorCode::kUsage;
  return error;
}

sample::SamplingParams SamplingOptions::apply(sample::SamplingParams p, int64_t default_max_tokens) const {
  p.temperature = temperature.value_or(p.temperature);
  p.top_k = top_k.value_or(p.top_k);
  p.top_p = top_p.value_or(p.top_p);
  p.min_p = min_p.value_or(p.min_p);
  p.repetition_penalty = repetition_penalty.value_or(p.repetition_penalty);
  p.max_tokens = max_tokens.value_or(default_max_tokens);
  if (sampling_seed) p.seed = sampling_seed;
  p.stop = stop;
  p.ignore_eos = ignore_eos;
  return p;
}

}  // namespace vortex::cli
