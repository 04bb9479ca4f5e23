#include "sched/prefill_pacer.h"

#include <algorithm>

namespace vortex::sched {
namespace {

constexpr double kNewShare = 0.2;     // of a measurement in the mean of steps of decodes
constexpr double kFading = 0.97;      // of older measurements of prompt tokens, a step
constexpr int kStepsUntilAlone = 16;  // a step without prompt tokens now and then: what decodes cost grows with them

}  // namespace

double& PrefillPacer::decode_seconds(int64_t decodes) {
  const auto i = static_cast<size_t>(decodes);
  if (decode_s_.size() <= i) decode_s_.resize(i + 1, 0.0);
  return decode_s_[i];
}

/// A quotient of sums, not a mean of quotients: a step that the machine disturbed counts once, however few its tokens.
double PrefillPacer::token_seconds() const { return extra_tokens_ == 0 ? 0 : std::max(extra_s_ / extra_tokens_, 1e-7); }

int64_t PrefillPacer::allowance(int64_t decodes) {
  const double alone = decode_seconds(decodes);
  if (alone == 0 || ++steps_since_alone_ > kStepsUntilAlone) return 0;
  const double share = slowdown_ * alone, token_s = token_seconds();
  // What was earned is spent soon or lost: no burst after a pause.
  earned_s_ = std::min(earned_s_ + share, std::max(share, token_s));
  if (token_s == 0) return 1;
  const auto tokens = static_cast<int64_t>(earned_s_ / token_s);
  earned_s_ -= static_cast<double>(tokens) * token_s;
  return tokens;
}

void PrefillPacer::observe(int64_t decodes, int64_t prompt, double seconds) {
  double& alone = decode_seconds(decodes);
  if (prompt == 0) {
    steps_since_alone_ = 0;
    alone = alone == 0 ? seconds : (1 - kNewShare) * alone + kNewShare * seconds;
    return;
  }
  if (decodes > 0 && alone == 0) return;
  extra_s_ = kFading * extra_s_ + seconds - (decodes == 0 ? 0 : alone);
  extra_tokens_ = kFading * extra_tokens_ + static_cast<double>(prompt);
}

}  // namespace vortex::sched
