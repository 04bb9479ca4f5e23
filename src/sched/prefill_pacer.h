// PrefillPacer: how many tokens of long prompts may join a step, so that those who read along hardly notice.
#pragma once

#include <cstdint>
#include <vector>

namespace vortex::sched {

/// Learns what a step of n decodes takes alone, and what a prompt token adds to it. Every step of decodes earns a part
/// of its own time for the prompt; a token runs when its time has been earned. So the average step grows by no more
/// than that part, and no step by more than one token or that part, whichever is longer.
class PrefillPacer {
 public:
  /// `slowdown`: 0.2 lets a step take a fifth longer.
  explicit PrefillPacer(double slowdown) : slowdown_(slowdown) {}

  /// Tokens for a step that decodes `decodes` sequences.
  int64_t allowance(int64_t decodes);

  /// A step of `decodes` decodes and `prompt` prompt tokens took `seconds`.
  void observe(int64_t decodes, int64_t prompt, double seconds);

 private:
  double& decode_seconds(int64_t decodes);
  double token_seconds() const;

  double slowdown_;
  std::vector<double> decode_s_;  // by number of decodes; 0: not seen yet
  double extra_s_ = 0;            // what steps with prompt tokens took more, fading
  double extra_tokens_ = 0;       // for so many of them; 0: not seen yet
  double earned_s_ = 0;
  int steps_since_alone_ = 0;
};

}  // namespace vortex::sched
