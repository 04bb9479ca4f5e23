// PrefillPacer: how many tokens of long prompts may join a step, so that those who read along hardly notice.
#pragma once

#include <cstdint>
#include <vector>

namespace vortex::sched {

/// Learns what a step of n decodes takes alone, and what prompt tokens add to it. Every step of decodes earns a part of
/// its own time for the prompt, so that the average step grows by no more than that part.
///
/// Where a token costs less than a step earns, a few join each step. Where it costs more (far into a prompt each one
/// reads all the pages before it), what was earned is saved and spent at once in fewer than one step of a hundred: 99
/// of 100 tokens of the others come as if nothing happened, and the pages are read once for many.
class PrefillPacer {
 public:
  /// `slowdown`: 0.2 lets steps take a fifth longer.
  explicit PrefillPacer(double slowdown) : slowdown_(slowdown) {}

  /// Tokens for a step that decodes `decodes` sequences.
  int64_t allowance(int64_t decodes);

  /// A step of `decodes` decodes and `prompt` prompt tokens took `seconds`.
  void observe(int64_t decodes, int64_t prompt, double seconds);

 private:
  /// A quotient of fading sums, not a mean of quotients: a step that the machine disturbed counts once, however few
  /// its tokens.
  struct TokenCost {
    double seconds = 0, tokens = 0;
    void add(double extra_seconds, int64_t count);
    double value() const;  // of one token; 0: not known
  };

  double& decode_seconds(int64_t decodes);
  int64_t few(double share);
  int64_t saved(double share);

  double slowdown_;
  std::vector<double> decode_s_;  // by number of decodes; 0: not known
  TokenCost few_cost_, saved_cost_;
  double earned_s_ = 0;
  uint32_t steps_ = 0;
  bool spending_ = false;  // the step that was allowed last spends what was saved
};

}  // namespace vortex::sched
