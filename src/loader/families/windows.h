// Which layers slide, for config.json files that do not list layer_types.
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

}  // namespace vortex
