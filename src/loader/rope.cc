#include "loader/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace vortex {
namespace {

/// theta^(2i / dim) in float32, as torch computes `base ** (arange / dim)`.
std::vector<float> position_frequencies(double theta, int dim) {
  std::vector<float> out;
  for (int i = 0; i < dim; i += 2) {
    out.push_back(std::pow(static_cast<float>(theta), static_cast<float>(i) / static_cast<float>(dim)));
  }
  return out;
}

/// Llama 3: waves longer than the old context are divided by factor, short ones stay, a band between is blended.
float llama3_frequency(const RopeConfig& config, float frequency) {
  const auto factor = static_cast<float>(config.factor);
  const auto low = static_cast<float>(config.low_freq_factor), high = static_cast<float>(config.high_freq_factor);
  const double context = config.original_max_position;
  const float wavelength = static_cast<float>(2.0 * std::numbers::pi) / frequency;
  if (wavelength < static_cast<float>(context / config.high_freq_factor)) return frequency;
  if (wavelength > static_cast<float>(context / config.low_freq_factor)) return frequency / factor;
  const float smooth = (static_cast<float>(context) / wavelength - low) / (high - low);
  return (1.0f - smooth) * frequency / factor + smooth * frequency;
}

/// Dimension whose wave turns `rotations` times over the original context (YaRN, section 3.2).
double correction_dim(const RopeConfig& config, double rotations, int dim) {
  const double turns = config.original_max_position / (rotations * 2.0 * std::numbers::pi);
  return dim * std::log(turns) / (2.0 * std::log(config.theta));
}

struct Range {
  double low;
  double high;
};

Range correction_range(const RopeConfig& config, int dim) {
  double low = correction_dim(config, config.beta_fast, dim);
  double high = correction_dim(config, config.beta_slow, dim);
  if (config.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(dim - 1));
  if (low == high) high += 0.001;  // no division by zero
  return {low, high};
}

/// YaRN: fast waves keep their frequency, slow ones are divided by factor, a linear ramp between.
float yarn_frequency(const RopeConfig& config, const Range& range, int i, float position_frequency) {
  const float kept = 1.0f / position_frequency;
  const float stretched = 1.0f / (static_cast<float>(config.factor) * position_frequency);
  const float ramp =
      (static_cast<float>(i) - static_cast<float>(range.low)) / static_cast<float>(range.high - range.low);
  const float keep = 1.0f - std::clamp(ramp, 0.0f, 1.0f);
  return stretched * (1.0f - keep) + kept * keep;
}

}  // namespace

double yarn_mscale(double factor, double mscale) { return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0; }

std::vector<float> rope_inverse_frequencies(const RopeConfig& config, int head_dim) {
  using Variant = RopeConfig::Variant;
  const int dim = config.rotary_dim > 0 ? config.rotary_dim : head_dim;
  std::vector<float> out = position_frequencies(config.theta, dim);
  const Range range = config.variant == Variant::kYarn ? correction_range(config, dim) : Range{};
  for (size_t i = 0; i < out.size(); ++i) {
    const float frequency = 1.0f / out[i];
    switch (config.variant) {
      case Variant::kDefault:
        out[i] = frequency;
        break;
      case Variant::kLinear:
        out[i] = frequency / static_cast<float>(config.factor);
        break;
      case Variant::kLlama3:
        out[i] = llama3_frequency(config, frequency);
        break;
      case Variant::kYarn:
        out[i] = yarn_frequency(config, range, static_cast<int>(i), out[i]);
        break;
    }
    if (!config.frequency_divisors.empty()) out[i] /= config.frequency_divisors[i];
  }
  return out;
}

float rope_attention_scale(const RopeConfig& config) {
  if (config.variant != RopeConfig::Variant::kYarn) return 1.0f;
  if (config.attention_factor) return static_cast<float>(*config.attention_factor);
  const double mscale = config.mscale.value_or(0.0), all_dim = config.mscale_all_dim.value_or(0.0);
  if (mscale == 0.0 || all_dim == 0.0) return static_cast<float>(yarn_mscale(config.factor, 1.0));
  return static_cast<float>(yarn_mscale(config.factor, mscale) / yarn_mscale(config.factor, all_dim));
}

}  // namespace vortex
