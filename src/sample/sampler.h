// Sampler: logits to the next token of one sequence. Same seed, same logits, same tokens, on every machine.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sample/sampling_params.h"

namespace vortex::sample {

/// SplitMix64 (Steele et al. 2014): a small generator whose stream we own, unlike std distributions'.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();
  /// Uniform in [0, 1).
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

 private:
  uint64_t state_;
};

class Sampler {
 public:
  Sampler(const SamplingParams& params, uint64_t seed);

  /// Chooses a token. `logits` [vocab] is scratch afterwards; `history` are the sequence's tokens so far, of which the
  /// first `prompt_tokens` were given: the repetition penalty looks at all of them, presence and frequency at the rest.
  /// Tokens in `banned` are never chosen. Order: penalties, bias, ban, temperature, top-k, top-p, min-p. NaN logits
  /// count as least likely. Ties go to the lower token id.
  int32_t sample(std::span<float> logits, std::span<const int32_t> history, size_t prompt_tokens,
                 std::span<const int32_t> banned);
  /// The number that sample() would draw with, for a token that is drawn elsewhere.
  double next_uniform() { return random_.uniform(); }

 private:
  struct Candidate {
    float logit;
    int32_t token;
    double weight;  // relative to the best token's
  };
  static bool better(const Candidate& a, const Candidate& b);

  void penalise_repetition(std::span<float> logits, std::span<const int32_t> history);
  void penalise_generated(std::span<float> logits, std::span<const int32_t> generated);
  void add_bias(std::span<float> logits);
  void collect_candidates(std::span<const float> logits);
  void keep_top_k();
  void keep_mass();
  int32_t draw();

  SamplingParams params_;
  Random random_;
  std::vector<Candidate> candidates_;
  std::vector<bool> seen_;
};

/// No penalty and no bias: a token depends on its logits and on a random number.
bool depends_on_logits_alone(const SamplingParams& params);

/// Whether a model that works could have written these.
bool all_finite(std::span<const float> logits);

/// The largest logit's index; the lowest of equals, NaN ignored.
int32_t argmax(std::span<const float> logits);

}  // namespace vortex::sample
