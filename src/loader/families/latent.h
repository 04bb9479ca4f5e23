// Latent attention in config.json: what DeepSeek and GLM share.
#pragma once

#include <string_view>

#include "loader/config_fields.h"
#include "loader/model_config.h"

namespace vortex {

/// The sizes of the latents and heads; makes the model one kv head of the latent's width to cache and planner. A file
/// without q_lora_rank projects queries in one step (the weights tell when that is wrong).
void read_hf_latent(ConfigFields& fields, ModelConfig* out);

/// As ModelConfig wants it: heads and kv heads, once the latent's sizes are known.
void make_latent(const MlaConfig& mla, ModelConfig* out);

}  // namespace vortex
