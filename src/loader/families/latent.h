// Latent attention: what DeepSeek and GLM share.
#pragma once

#include <string_view>

#include "loader/config_fields.h"
#include "loader/model_config.h"

namespace vortex {

/// The sizes of the latents and heads; makes the model one kv head of the latent's width to cache and planner. A file
/// without q_lora_rank projects queries in one step (the weights tell when that is wrong).
void read_hf_latent(ConfigFields& fields, ModelConfig* out);

/// The same from GGUF metadata, whose heads are those of the latent when it has attention.key_length_mla (then
/// attn_kv_b comes in two tensors), else those of the expanded keys and values.
void read_gguf_latent(ConfigFields& fields, ModelConfig* out);

}  // namespace vortex
