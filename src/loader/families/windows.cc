#include "loader/families/windows.h"

#include "loader/config_limits.h"

namespace vortex {

void read_hf_window(ConfigFields& fields, int usual, const std::function<bool(int layer)>& slides, ModelConfig* out) {
  out->sliding_window = fields.integer("sliding_window", 0, limits::kPositions).value_or(usual);
  if (!out->layer_types.empty()) return;
  for (int layer = 0; layer < out->layers; ++layer) {
    const bool sliding = out->sliding_window > 0 && slides(layer);
    out->layer_types.push_back(sliding ? LayerType::kSlidingAttention : LayerType::kFullAttention);
  }
}

void read_qwen_window(ConfigFields& fields, ModelConfig* out) {
  if (!fields.boolean("use_sliding_window").value_or(false)) return;
  const int first = fields.integer("max_window_layers", 0, limits::kPositions).value_or(28);
  read_hf_window(
      fields, 4096, [first](int layer) { return layer >= first; }, out);
}

}  // namespace vortex
