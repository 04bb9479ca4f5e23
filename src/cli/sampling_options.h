// SamplingOptions: flags that choose how tokens are sampled; what is not given is the model's suggestion.
#pragma once

#include <CLI/App.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sample/sampling_params.h"

namespace vortex::cli {

struct SamplingOptions {
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  std::optional<int> top_k;
  std::optional<int64_t> max_tokens;
  std::optional<uint64_t> sampling_seed;
  std::vector<std::string> stop;
  bool ignore_eos = false;

  void add_to(CLI::App& app);
  /// kUsage for a value out of range; before a model is loaded for nothing.
  Status check() const;
  /// `defaults` with what was given on top; `max_tokens` where neither says.
  sample::SamplingParams apply(sample::SamplingParams defaults, int64_t default_max_tokens) const;
};

}  // namespace vortex::cli
