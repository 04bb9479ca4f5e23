#include "sched/prefill_pacer.h"

#include <algorithm>

namespace vortex::sched {
namespace {

constexpr double kNewShare = 0.2;  // of a measurement in the mean of steps of decodes
constexpr double kFading = 0.97;   // of older measurements of prompt tokens, a step
/// Every so many steps one runs without prompt tokens: what decodes cost grows with their contexts.
constexpr uint32_t kAlone = 16;
/// Of so many steps one spends what was saved, and one tries what a single token costs by now.
constexpr uint32_t kSpend = 256, kTry = 128;

}  // namespace

void PrefillPacer::TokenCost::add(double extra_seconds, int64_t count) {
  seconds = kFading * seconds + extra_seconds;
  tokens = kFading * tokens + static_cast<double>(count);
}

double PrefillPacer::TokenCost::value() const { return tokens == 0 ? 0 : std::max(seconds / tokens, 1e-7); }

double& PrefillPacer::decode_seconds(int64_t decodes) {
  const auto i = static_cast<size_t>(decodes);
  if (decode_s_.size() <= i) decode_s_.resize(i + 1, 0.0);
  return decode_s_[i];
}

int64_t PrefillPacer::allowance(int64_t decodes) {
  const double alone = decode_seconds(decodes), share = slowdown_ * alone;
  spending_ = false;
  if (alone == 0) return 0;
  ++steps_;
  if (few_cost_.value() > share) return saved(share);
  return steps_ % kAlone == 0 ? 0 : few(share);
}

/// What was earned is spent soon or lost: no burst after a pause.
int64_t PrefillPacer::few(double share) {
  earned_s_ = std::min(earned_s_ + share, share);
  if (few_cost_.value() == 0) return 1;
  return static_cast<int64_t>(earned_s_ / few_cost_.value());
}

int64_t PrefillPacer::saved(double share) {
  earned_s_ = std::min(earned_s_ + share, kSpend * share);
  if (steps_ % kSpend == kTry) return 1;
  if (steps_ % kSpend != 0) return 0;
  spending_ = true;
  const double token_s = saved_cost_.value() == 0 ? few_cost_.value() : saved_cost_.value();
  return std::max<int64_t>(static_cast<int64_t>(earned_s_ / token_s), 1);
}

void PrefillPacer::observe(int64_t decodes, int64_t prompt, double seconds) {
  double& alone = decode_seconds(decodes);
  if (prompt == 0) {
    alone = alone == 0 ? seconds : (1 - kNewShare) * alone + kNewShare * seconds;
    return;
  }
  if (decodes > 0 && alone == 0) return;
  const double extra = seconds - (decodes == 0 ? 0 : alone);
  (spending_ ? saved_cost_ : few_cost_).add(extra, prompt);
  earned_s_ = spending_ ? 0 : std::max(earned_s_ - extra, 0.0);
}

}  // namespace vortex::sched
