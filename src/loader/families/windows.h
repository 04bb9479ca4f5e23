// Which layers slide, where a file does not say it layer by layer.
#pragma once

#include <functional>

#include "loader/config_fields.h"
#include "loader/model_config.h"

namespace vortex {

/// Reads sliding_window (`usual` when absent; 0 or null: none) and, unless layer_types is there, asks `slides` of
/// each layer. Call it only for families that slide: of others, sliding_window is refused.
void read_hf_window(ConfigFields& fields, int usual, const std::function<bool(int layer)>& slides, ModelConfig* out);

/// Qwen's form: nothing slides unless use_sliding_window says so, then the layers from max_window_layers on.
void read_qwen_window(ConfigFields& fields, ModelConfig* out);

/// GGUF's form: attention.sliding_window_pattern is the distance of full layers, or says of each layer whether it
/// slides; `usual` is the distance where it is absent.
void read_gguf_window(ConfigFields& fields, int usual, ModelConfig* out);

}  // namespace vortex
