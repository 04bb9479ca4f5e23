#include "sched/prefill_pacer.h"

#include <algorithm>

namespace vortex::sched {
namespace {

constexpr double kNewShare = 0.2;     // of a measurement in the running mean
constexpr int kStepsUntilAlone = 16;  // a step without prompt tokens now and then: what decodes cost grows with them

void mix(double* mean, double value) { *mean = *mean == 0 ? value : (1 - kNewShare) * *mean + kNewShare * value; }

}  // namespace

double& PrefillPacer::decode_seconds(int64_t decodes) {
  const auto i = static_cast<size_t>(decodes);
  if (decode_s_.size() <= i) decode_s_.resize(i + 1, 0.0);
  return decode_s_[i];
}

int64_t PrefillPacer::allowance(int64_t decodes) {
  const double alone = decode_seconds(decodes);
  if (alone == 0 || ++steps_since_alone_ > kStepsUntilAlone) return 0;
  const double share = slowdown_ * alone;
  // What was earned is spent soon or lost: no burst after a pause.
  earned_s_ = std::min(earned_s_ + share, std::max(share, token_s_));
  if (token_s_ == 0) return 1;
  const auto tokens = static_cast<int64_t>(earned_s_ / token_s_);
  earned_s_ -= static_cast<double>(tokens) * token_s_;
  return tokens;
}

void PrefillPacer::observe(int64_t decodes, int64_t prompt, double seconds) {
  if (prompt == 0) {
    steps_since_alone_ = 0;
    return mix(&decode_seconds(decodes), seconds);
  }
  const double alone = decodes == 0 ? 0 : decode_seconds(decodes);
  if (decodes > 0 && alone == 0) return;
  mix(&token_s_, std::max(seconds - alone, 0.0) / static_cast<double>(prompt));
}

}  // namespace vortex::sched
