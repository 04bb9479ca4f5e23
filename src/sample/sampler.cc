#include "sample/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vortex::sample {

uint64_t Random::next() {
  state_ += 0x9e3779b97f4a7c15u;
  uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

int32_t argmax(std::span<const float> logits) {
  size_t best = 0;
  float best_logit = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > best_logit) {
      best_logit = logits[i];
      best = i;
    }
  }
  return static_cast<int32_t>(best);
}

Sampler::Sampler(const SamplingParams& params, uint64_t seed) : params_(params), random_(seed) {}

bool depends_on_logits_alone(const SamplingParams& p) {
  return p.repetition_penalty == 1.0 && p.presence_penalty == 0.0 && p.frequency_penalty == 0.0 && p.logit_bias.empty();
}

bool all_finite(std::span<const float> logits) {
  // x - x is 0 for finite numbers and NaN otherwise; sums of it vectorise, unlike std::isfinite with an early end.
  float sum = 0;
  for (float x : logits) sum += x - x;
  return sum == 0;
}

int32_t Sampler::sample(std::span<float> logits, std::span<const int32_t> history, size_t prompt_tokens,
                        std::span<const int32_t> banned) {
  penalise_repetition(logits, history);
  penalise_generated(logits, history.subspan(prompt_tokens));
  add_bias(logits);
  for (int32_t token : banned)
    if (token >= 0 && static_cast<size_t>(token) < logits.size())
      logits[static_cast<size_t>(token)] = -std::numeric_limits<float>::infinity();
  if (params_.greedy()) return argmax(logits);
  collect_candidates(logits);
  keep_top_k();
  keep_mass();
  return draw();
}

void Sampler::penalise_repetition(std::span<float> logits, std::span<const int32_t> history) {
  if (params_.repetition_penalty == 1.0) return;
  const auto penalty = static_cast<float>(params_.repetition_penalty);
  seen_.assign(logits.size(), false);
  for (int32_t token : history) {
    const auto i = static_cast<size_t>(token);
    if (seen_[i]) continue;
    seen_[i] = true;
    logits[i] = logits[i] > 0 ? logits[i] / penalty : logits[i] * penalty;
  }
}

/// Once for presence: the first time a token is met.
void Sampler::penalise_generated(std::span<float> logits, std::span<const int32_t> generated) {
  if (params_.presence_penalty == 0.0 && params_.frequency_penalty == 0.0) return;
  seen_.assign(logits.size(), false);
  for (int32_t token : generated) {
    const auto i = static_cast<size_t>(token);
    logits[i] -= static_cast<float>(params_.frequency_penalty + (seen_[i] ? 0.0 : params_.presence_penalty));
    seen_[i] = true;
  }
}

void Sampler::add_bias(std::span<float> logits) {
  for (const auto& [token, bias] : params_.logit_bias) logits[static_cast<size_t>(token)] += bias;
}

bool Sampler::better(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

/// Softmax weights at the temperature, unnormalised: the best token has weight 1.
void Sampler::collect_candidates(std::span<const float> logits) {
  const float best = logits[static_cast<size_t>(argmax(logits))];
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    const double scaled = (static_cast<double>(logits[i]) - best) / params_.temperature;
    candidates_.push_back({logits[i], static_cast<int32_t>(i), std::isnan(scaled) ? 0.0 : std::exp(scaled)});
    if (std::isnan(logits[i])) candidates_.back().logit = -std::numeric_limits<float>::infinity();
  }
}

void Sampler::keep_top_k() {
  const auto k = static_cast<size_t>(std::max(params_.top_k, 0));
  if (k == 0 || k >= candidates_.size()) return;
  std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<int64_t>(k - 1), candidates_.end(), better);
  candidates_.resize(k);
}

/// Top-p (the token that crosses the mass stays) and min-p. A heap orders only the few tokens that are kept.
void Sampler::keep_mass() {
  if (params_.top_p >= 1.0 && params_.min_p <= 0.0) return;
  double total = 0.0;
  for (const Candidate& c : candidates_) total += c.weight;
  const auto worse = [](const Candidate& a, const Candidate& b) { return better(b, a); };
  std::make_heap(candidates_.begin(), candidates_.end(), worse);
  auto heap_end = candidates_.end();
  double mass = 0.0;
  do {
    std::pop_heap(candidates_.begin(), heap_end, worse);
    mass += (--heap_end)->weight;
  } while (heap_end != candidates_.begin() && mass < params_.top_p * total &&
           candidates_.front().weight >= params_.min_p);
  candidates_.erase(candidates_.begin(), heap_end);
}

int32_t Sampler::draw() {
  double remaining = 0.0;
  for (const Candidate& c : candidates_) remaining += c.weight;
  remaining *= random_.uniform();
  const Candidate* last = &candidates_.front();
  for (const Candidate& c : candidates_) {
    if (c.weight > 0) last = &c;
    remaining -= c.weight;
    if (remaining < 0) break;
  }
  return last->token;
}

}  // namespace vortex::sample
