// Inverse frequencies of rotary embeddings, as Hugging Face transformers 5 computes them (modeling_rope_utils.py):
// position p rotates pair i by the angle p * inverse_frequency[i]; cos and sin are multiplied by the scale.
#pragma once

#include <vector>

#include "loader/model_config.h"

namespace vortex {

/// rotary_dim / 2 frequencies (radians a position); rotary_dim 0 in the config means `head_dim`.
/// float32 where transformers uses float32. Variants: default; linear (divide by factor); llama3 (long waves are
/// divided by factor, a band in between is blended); yarn (arXiv:2309.00071). GGUF's divisors apply last.
std::vector<float> rope_inverse_frequencies(const RopeConfig& config, int head_dim);

/// What cos and sin are multiplied by: 1 but for yarn, where it is attention_factor, or the ratio of the two mscale
/// terms, or 0.1 ln(factor) + 1.
float rope_attention_scale(const RopeConfig& config);

/// YaRN's magnitude for a stretch by `factor`: 0.1 * mscale * ln(factor) + 1, and 1 without a stretch.
double yarn_mscale(double factor, double mscale);

}  // namespace vortex
